/** A link as a QR code for a terminal. */
import { encodeQR } from "qr";
import type { Screen } from "./screen.ts";

/** Lines of half blocks; or one line that says why there is none: the terminal is too narrow, or the link too long. */
export function qrCode(screen: Screen, link: string): string[] {
  let code: string;
  try {
    // The lowest correction: a screen does not get dirty, and fewer modules are easier to photograph.
    code = encodeQR(link, "ascii", { ecc: "low", border: 1 });
  } catch {
    return ["(it is too long for a QR code)"];
  }
  const lines = code.split("\n").filter((line) => line !== "");
  const columns = lines[0]?.length ?? 0;
  if (columns > screen.columns) return [`(its QR code needs a terminal of ${columns} columns)`];
  // Blocks are the light modules. On a light terminal they would be dark: then no reader takes it, so both are set.
  return screen.hasColor ? lines.map((line) => `\x1b[97;40m${line}\x1b[0m`) : lines;
}
