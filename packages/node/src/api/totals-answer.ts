/** GET /v1/cache/totals: what is answered. Apart from what keeps the totals, which is there before anybody asks. */
import { z } from "zod";

const slot = z.object({
  /** When it ends, in milliseconds since 1970. */
  at: z.number(),
  /** At its end. */
  messages: z.number(),
  bytes: z.number(),
  recipients: z.number(),
  /** How long a message lay here on average in the hour up to then, in milliseconds; absent where none left in it. */
  stay: z.number().optional(),
  /** Messages within it: that were taken, that their recipients got, for which there was no room, that made room, that nobody called for. */
  taken: z.number(),
  collected: z.number(),
  refused: z.number(),
  evicted: z.number(),
  expired: z.number(),
});

/** The newest last. The last slot of each is not over yet. */
export const totalsSchema = z.object({
  /** The hour: 60 slots of a minute at most. */
  minutes: z.array(slot),
  /** The week: 168 slots of an hour at most. */
  hours: z.array(slot),
  /** The `stay` of now. */
  stay: z.number().optional(),
});

/** GET /v1/cache/totals: of all recipients together, never of one. */
export type TotalsInfo = z.infer<typeof totalsSchema>;
