/** Copies of the project to break: sources without what is built, so that nothing is ever changed in the project itself. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The project itself. */
export const ROOT: string = fileURLToPath(new URL("../../../..", import.meta.url)); // the same way up from src/ and dist/

/** One copy. Its packages see each other and not those of the project. Gone at the latest with the process. */
export class Tree {
  readonly root: string = mkdtempSync(join(tmpdir(), "restante-mutant-"));

  readonly #end = (): void => rmSync(this.root, { recursive: true, force: true });

  constructor() {
    process.once("exit", this.#end);
    cpSync(ROOT, this.root, { recursive: true, filter: (path) => path === ROOT || !LEFT_OUT.has(basename(path)) });
    const modules = join(ROOT, "node_modules");
    const own = join(this.root, "node_modules");
    mkdirSync(join(own, "@restante"), { recursive: true });
    for (const name of readdirSync(modules))
      if (!name.startsWith(".") && !OURS.has(name)) symlinkSync(join(modules, name), join(own, name));
    symlinkSync(join(this.root, "packages/restante"), join(own, "restante"));
    for (const name of ["bazaar", "client", "node", "lab"])
      symlinkSync(join(this.root, "packages", name), join(own, "@restante", name));
  }

  read(file: string): string {
    return readFileSync(join(this.root, file), "utf8");
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.root, file), text);
  }

  /** The copy is gone. */
  remove(): void {
    process.off("exit", this.#end);
    this.#end();
  }
}

const LEFT_OUT = new Set(["node_modules", "dist", "coverage", ".git"]);
const OURS = new Set(["restante", "@restante"]);
