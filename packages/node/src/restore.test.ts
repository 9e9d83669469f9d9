/** A backup from before a contact came, brought back by `identity import`: what the contact wrote is not lost. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Peer, PeerEvent } from "restante";
import { expect, test } from "vitest";
import { Client } from "./api/client.ts";
import type { RequestList, StatusInfo } from "./api/contract.ts";
import { requests } from "./cli/people.ts";
import { loadBackend } from "./crypto/best.ts";
import { type Daemon, startCache, startDaemon } from "./daemon.ts";
import { exportHome, importHome } from "./identity.ts";

/** The next event of this type that is as wanted. */
function next<T extends PeerEvent["type"]>(
  peer: Peer,
  type: T,
  wanted: (event: PeerEvent & { type: T }) => boolean = () => true,
): Promise<PeerEvent & { type: T }> {
  return new Promise((resolve) => {
    const end = peer.on((event) => {
      if (event.type !== type || !wanted(event as PeerEvent & { type: T })) return;
      end();
      resolve(event as PeerEvent & { type: T });
    });
  });
}

test("a contact from after the backup is a request that says so, and all that waited comes when it is accepted", async () => {
  const dir = await mkdtemp(join(tmpdir(), "restante-restore-"));
  const opened: { close(): Promise<void> }[] = [];
  const local = { host: "127.0.0.1", port: 0 };
  const start = async (home: string, name: string): Promise<Daemon> => {
    const daemon = await startDaemon({ ...local, home: join(dir, home), name });
    opened.push(daemon);
    return daemon;
  };
  try {
    const cache = await startCache({ ...local, home: join(dir, "cache") });
    opened.push(cache);
    const before = await start("alice", "Alice");
    await before.peer.join(cache.joinLink());
    await before.close();
    const archive = {
      file: join(dir, "backup"),
      passphrase: async () => "a few words",
      backend: await loadBackend(() => {}),
    };
    await exportHome({ ...archive, home: join(dir, "alice") });

    const [alice, bob] = [await start("alice", "Alice"), await start("bob", "Bob")];
    const arrived = next(alice.peer, "mail");
    const contact = await bob.peer.add(await alice.peer.invite());
    const answered = next(bob.peer, "state", ({ state }) => state === "delivered");
    await bob.peer.send(contact.id, "hello");
    await Promise.all([arrived, answered]);
    await alice.close(); // and the disk is gone
    const left = next(bob.peer, "state", ({ state }) => state === "handed");
    await bob.peer.send(contact.id, "are you there?");
    await left;

    await importHome({ ...archive, home: join(dir, "again") });
    const again = await start("again", "Alice");
    const asked = next(again.peer, "request");
    // His program says who he is when nothing was answered for long, or has news of him.
    await bob.peer.rename("Robert");
    await asked;
    const client = new Client(again.socket);
    const [request] = (await client.call<RequestList>("GET", "/v1/requests")).requests;
    expect(request).toMatchObject({ name: "Robert", before: true });
    expect((await client.call<StatusInfo>("GET", "/v1/status")).unknown).toBe(1);
    const lines: string[] = [];
    const screen = { json: false, isTerminal: false, hasColor: false, columns: 200 };
    const shown = { ...screen, out: (line: string) => void lines.push(line), say: () => {} };
    await requests({ ...shown, paint: (_, text) => text }, client, undefined, undefined);
    expect(lines.join("\n")).toMatch(/Robert +writes as to somebody it knows/);
    const mail = next(again.peer, "mail", ({ text }) => text === "are you there?");
    await client.call("POST", `/v1/requests/${request?.request}/accept`);
    await mail;
    // On a machine that is busy for seconds the cache got a copy of the first, too, which may lie there still.
    const texts = (await again.peer.inbox()).map(({ text }) => text);
    expect(texts.filter((text) => text !== "hello")).toEqual(["are you there?"]);
  } finally {
    for (const it of opened) await it.close();
    await rm(dir, { recursive: true });
  }
});
