/** GET /v1/config: what is in force in this daemon, and who said it. docs/config.md */
import { z } from "zod";

export const configSchema = z.strictObject({
  /** Of all settings; those of the bazaar too where it is not in use. */
  settings: z.array(
    z.strictObject({
      /** "cache.memory": section and key of the file. */
      key: z.string(),
      /** As it would stand in the file. Without it: nobody said it, and no value stands for what holds then. */
      value: z.union([z.boolean(), z.number(), z.string(), z.array(z.string())]).optional(),
      from: z.enum(["flag", "environment", "file", "default"]),
      /** "--memory", "RESTANTE_MEMORY", "/etc/restante.toml:12". */
      where: z.string().optional(),
      /** Why it changes nothing as things are. */
      idle: z.string().optional(),
    }),
  ),
});

/** Secrets are in no setting: those are files, by name. */
export type ConfigInfo = z.infer<typeof configSchema>;
