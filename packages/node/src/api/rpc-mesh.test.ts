/** The methods of telehash's guide beside a peer that says what the test wants. */
import { type Peer, RestanteError } from "restante";
import { afterEach, expect, test, vi } from "vitest";
import { MeshMethods } from "./rpc-mesh.ts";

const LINK = "a".repeat(52);
const HOUR = 3_600_000;
const never = new AbortController().signal;

/** A peer on which contacts open channels as the test says. */
class Mesh {
  readonly #handlers = new Map<string, (channel: object) => unknown>();
  readonly methods: MeshMethods;

  constructor() {
    const peer = {
      hashname: "me",
      on: () => () => {},
      channels: (type: string, handler: (channel: object) => unknown) => {
        if (type === "block") throw new RestanteError("bad-type", "it is taken");
        this.#handlers.set(type, handler);
        return () => this.#handlers.delete(type);
      },
      openChannel: async () => channelOf("ours"),
    };
    this.methods = new MeshMethods(peer as unknown as Peer, never);
  }

  get served(): string[] {
    return [...this.#handlers.keys()];
  }

  call(method: string, ...params: unknown[]): Promise<unknown> {
    return this.methods.call(method, ["me", ...params], never).catch((error: RestanteError) => error.code);
  }

  /** What a channel that somebody opens is refused with. */
  async opened(type: string): Promise<string | undefined> {
    let refusal: string | undefined;
    const abort = (why: string): void => {
      refusal = why;
    };
    await this.#handlers.get(type)?.({ ...channelOf(type), abort });
    return refusal;
  }
}

function channelOf(type: string): object {
  const receive = async (): Promise<object> => ({ head: {}, body: new Uint8Array(0) });
  return { type, hashname: LINK, reliable: true, receive, closed: new Promise(() => {}) };
}

afterEach(() => {
  vi.useRealTimers();
});

test("who waits is there, however long it takes; who has waited and says nothing for an hour is gone", async () => {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
  const mesh = new Mesh();
  const waits = mesh.call("meshWait", { types: ["game"] });
  await vi.advanceTimersByTimeAsync(3 * HOUR);
  expect([await mesh.opened("game"), mesh.served]).toEqual([undefined, ["game"]]);
  expect(await waits).toMatchObject({ event: "chan" });
  await vi.advanceTimersByTimeAsync(HOUR - 1);
  expect(await mesh.opened("game")).toBeUndefined();
  await vi.advanceTimersByTimeAsync(2);
  expect([await mesh.opened("game"), mesh.served]).toEqual(["unknown type", []]);
});

test("what others open takes half of the room: there is always some for ours", async () => {
  const mesh = new Mesh();
  await mesh.call("meshWait", { types: ["game"], wait: 0 });
  const all = await Promise.all(Array.from({ length: 64 }, () => mesh.opened("game")));
  expect(all.filter((refusal) => refusal === "full")).toHaveLength(32);
  const ours = await Promise.all(Array.from({ length: 33 }, () => mesh.call("linkChan", LINK, { type: "mine" })));
  expect(ours.filter((answer) => answer === "full")).toHaveLength(1);
});

test("of types of which one cannot be served none is", async () => {
  const mesh = new Mesh();
  expect(await mesh.call("meshWait", { types: ["one", "block", "two"], wait: 0 })).toBe("bad-type");
  expect(mesh.served).toEqual([]);
  expect(await mesh.call("meshWait", { types: ["one", "two"], wait: 0 })).toEqual({});
  expect(mesh.served).toEqual(["one", "two"]);
});
