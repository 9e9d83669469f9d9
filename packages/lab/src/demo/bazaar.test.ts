import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { demonstrateBazaar } from "./bazaar.ts";
import { endAll } from "./processes.ts";

const dir = mkdtempSync(join(tmpdir(), "restante-demo-"));
afterAll(async () => {
  await endAll();
  rmSync(dir, { recursive: true, force: true });
});

test("[D1] [D2] two processes that never run at the same time, a push node, and a DHT of which half is killed: it arrives, once", async () => {
  const lines: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((line) => {
    lines.push(String(line));
    return true;
  });
  try {
    await demonstrateBazaar(dir, 4);
  } finally {
    write.mockRestore();
  }
  const said = lines.join("");
  expect(said).toContain("2 of the 4 nodes are killed");
  expect(said).toMatch(/700000 bytes from Qm\w+… {2}SHA-256 [0-9a-f]{16}… {2}same/);
  expect(said).toMatch(/delivered\s/);
});
