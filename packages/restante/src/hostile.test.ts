/** Peers that are linked to us, and mean no good: what they can see of us over channels of their own making. */
import { expect, test } from "vitest";
import { type Path, parseInvite, secretUri } from "./card/index.ts";
import { createIdentity, type Hashname, type Identity } from "./crypto/index.ts";
import { Mesh, type MeshIn, type MeshOut } from "./mesh/index.ts";
import { type SimPeer, World } from "./testing/world.ts";

/** A peer that is nothing but a mesh: it links to whom it likes, and opens what channels it likes. */
class Wild {
  readonly name: string;
  readonly identity: Identity;
  readonly seen: MeshOut[] = [];
  readonly #world: World;
  readonly #mesh: Mesh;

  constructor(world: World, name: string) {
    const { random } = world.chance.fork();
    let handle = 1000;
    this.name = name;
    this.#world = world;
    this.identity = createIdentity(world.crypto, random);
    const { crypto, cloak } = world;
    this.#mesh = new Mesh({ crypto, identity: this.identity, random, handles: () => handle++, cloak });
    world.peers.push(this as unknown as SimPeer); // the wire asks only for a name and a place to deliver
  }

  receive(path: Path, bytes: Uint8Array): void {
    this.take({ type: "received", path, bytes });
  }

  take(input: MeshIn): void {
    for (const out of this.#mesh.handle(input, this.#world.now)) {
      if (out.type === "transmit") this.#world.transmit(this.name, out.path, out.bytes);
      else this.seen.push(out);
    }
  }

  /** Links to the peer of an invite, which lets in whoever shows its secret. */
  link(invite: string): Hashname {
    const { hashname, keys, paths, secret } = parseInvite(this.#world.crypto.backend, invite) ?? {};
    if (hashname === undefined || keys === undefined || paths === undefined || secret === undefined)
      throw new Error("no invite");
    this.take({ type: "want", peer: { hashname, keys, paths }, uri: secretUri(secret) });
    this.#world.run("10 s");
    return hashname;
  }
}

test("who is no cache of ours shows us boxes in vain: nobody learns from our answers whose boxes we know", () => {
  const world = new World({ seed: 1 });
  const bob = world.peer("bob");
  const eve = new Wild(world, "eve");
  world.run("1 s");
  let invite = "";
  bob.call({ type: "invite", once: false }, (value) => {
    invite = (value as { link: string }).link;
  });
  world.run("1 s");
  const peer = eve.link(invite);
  expect(eve.seen.map(({ type }) => type)).toContain("up");
  const body = Uint8Array.from({ length: 80 }, (_, i) => i);
  eve.take({ type: "open", ch: 1, peer, reliable: false, head: { type: "boxes" }, body, end: true });
  world.run("10 s");
  expect(eve.seen.filter(({ type }) => type === "opened" || type === "closed")).toEqual([]);
});
