import { createHmac, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { PeerEvent, Received } from "restante";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openWebhooks, signature, type WebhookOptions, type Webhooks, type World } from "./webhooks.ts";

const HOUR_MS = 3_600_000;
const url = "http://127.0.0.1:9/hook";

interface Posted {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { type: string; data: Record<string, unknown> };
  readonly at: number;
}

/** A clock that stands, timers that run when it is moved, and a receiver. */
class TestWorld implements World {
  readonly posted: Posted[] = [];
  readonly timers = new Map<() => void, number>();
  answer: (count: number) => number | Error = () => 200;
  #now = 1_800_000_000_000;

  now = (): number => this.#now;
  random = (): number => 0.5;
  later = (ms: number, run: () => void): (() => void) => {
    this.timers.set(run, this.#now + ms);
    return () => this.timers.delete(run);
  };
  post: World["post"] = async (to, headers, body) => {
    this.posted.push({ url: to, headers, body: JSON.parse(body), at: this.#now });
    const answer = this.answer(this.posted.length);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  /** To the next timer; false: there is none. */
  async step(): Promise<boolean> {
    await settled();
    const [next] = [...this.timers].sort(([, a], [, b]) => a - b);
    if (next === undefined) return false;
    this.timers.delete(next[0]);
    this.#now = Math.max(this.#now, next[1]);
    next[0]();
    await settled();
    return true;
  }
}

/** Nothing is under way any more. */
async function settled(): Promise<void> {
  for (const hooks of open) await hooks.idle();
}

/** A machine may be busy. */
let dir: string;
let world: TestWorld;
let mails: Received[];
let listeners: Set<(event: PeerEvent) => void>;
let open: Webhooks[];
/** How often the store fails from now on. */
let failing = 0;
const key = new Uint8Array(randomBytes(32));

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-hooks-"));
  world = new TestWorld();
  mails = [];
  listeners = new Set();
  open = [];
  failing = 0;
});

afterEach(async () => {
  for (const each of open) await each.close();
  await rm(dir, { recursive: true });
});

const peer = {
  on(listener: (event: PeerEvent) => void) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  inbox: async ({ after = 0, limit = 1000 } = {}) => {
    if (failing-- > 0) throw new Error("EIO");
    return mails.slice(after, after + limit);
  },
  status: () => ({ inbox: mails.length }),
  contacts: () => [{ id: "c1", name: "alice" }],
} as unknown as WebhookOptions["peer"];

async function start(): Promise<Webhooks> {
  const hooks = await openWebhooks({ peer, file: join(dir, "webhooks"), key, world });
  open.push(hooks);
  return hooks;
}

async function comes(words: string): Promise<void> {
  const n = mails.length + 1;
  const file = { name: "secret plan.pdf", media: "application/pdf", size: 3, sha256: "aa" };
  const shared = { n, id: `${n}`, contact: "c1", from: "f", time: 1, received: 2, after: [] };
  const mail = { ...shared, ...(words === "file" ? { kind: "file", file } : { kind: "text", text: words }) };
  mails.push(mail as unknown as Received);
  tell({ type: "mail", ...mail } as unknown as PeerEvent);
  await settled();
}

function tell(event: PeerEvent): void {
  for (const listener of listeners) listener(event);
}

const numbers = (): unknown[] => world.posted.map(({ body }) => body.data["n"]);

test("mail from now on is told in its order, with a signature that its receiver can make itself", async () => {
  await comes("before");
  const hooks = await start();
  const { secret, id } = await hooks.add({ url, content: true });
  await comes("one");
  await comes("two");
  expect(world.posted.map(({ body }) => [body.type, body.data["n"], body.data["text"], body.data["name"]])).toEqual([
    ["mail", 2, "one", "alice"],
    ["mail", 3, "two", "alice"],
  ]);
  const [{ headers, body } = { headers: {} as Record<string, string>, body: {} }] = world.posted;
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${JSON.stringify(body)}`;
  const mac = createHmac("sha256", Buffer.from(secret.replace("whsec_", ""), "base64")).update(signed);
  expect(headers["webhook-signature"]).toBe(`v1,${mac.digest("base64")}`);
  expect(hooks.list()).toMatchObject([{ id, state: "well", after: 3 }]);
  expect(JSON.stringify(hooks.list())).not.toContain("whsec_");
});

test("the signature is that of Standard Webhooks' own example", () => {
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const body = '{"test": 2432232314}';
  expect(signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)).toBe(
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  );
});

test("without content nothing is told of what was written, nor how people and files are called", async () => {
  const hooks = await start();
  await hooks.add({ url, events: ["mail", "request", "contact", "state"] });
  await comes("my words");
  await comes("file");
  tell({ type: "request", request: "r", hashname: "h", name: "mallory", at: 1, texts: ["my words"] } as never);
  tell({ type: "contact", contact: { id: "c1", name: "alice", link: "up" }, isNew: true } as never);
  tell({ type: "state", id: "9", contact: "c1", state: "delivered", at: 5 } as never);
  tell({ type: "gap", contact: "c1", missing: 1 });
  await settled();
  expect(world.posted.map(({ body }) => body.type)).toEqual(["mail", "mail", "request", "contact", "state"]);
  const said = JSON.stringify(world.posted);
  for (const word of ["my words", "alice", "mallory", "secret plan", '"aa"']) expect(said).not.toContain(word);
  expect(world.posted[1]?.body.data).toMatchObject({ kind: "file", file: { media: "application/pdf", size: 3 } });
  expect(world.posted[4]?.body.data).toMatchObject({ id: "9", state: "delivered" });
});

test("what fails is tried again with growing pauses, under the same id, and nothing is told before it", async () => {
  const hooks = await start();
  await hooks.add({ url });
  world.answer = (count) => (count <= 3 ? 500 : 204);
  await comes("one");
  await comes("two");
  expect(hooks.list()).toMatchObject([{ state: "failing", failures: 1, after: 0, why: "it answered 500" }]);
  for (let i = 0; i < 3; i++) await world.step();
  expect(numbers()).toEqual([1, 1, 1, 1, 2]);
  expect(new Set(world.posted.slice(0, 4).map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  const pauses = world.posted.slice(1, 4).map(({ at }, i) => at - (world.posted[i]?.at ?? 0));
  expect(pauses).toEqual([5000, 30_000, 120_000]);
  expect(hooks.list()).toMatchObject([{ state: "well", failures: 0, after: 2 }]);
  expect(await world.step()).toBe(false);
});

test("after a restart it goes on where it was, and loses nothing that came in between", async () => {
  const first = await start();
  await first.add({ url });
  await comes("one");
  await first.close();
  await comes("two");
  world.answer = () => Object.assign(new Error("no"), { code: "ECONNREFUSED" });
  const second = await start();
  await settled();
  expect(second.list()).toMatchObject([{ state: "failing", after: 1, why: "it cannot be reached (ECONNREFUSED)" }]);
  await second.close();
  world.answer = () => 200;
  await start();
  await settled();
  expect(numbers()).toEqual([1, 2, 2]);
  expect((await readFile(join(dir, "webhooks"))).includes("127.0.0.1")).toBe(false);
});

test("one that failed for five days is told nothing more, which status says; made anew it misses nothing", async () => {
  const hooks = await start();
  await hooks.add({ url });
  world.answer = () => 302;
  await comes("one");
  const began = world.now();
  while (await world.step()) expect(world.posted.length).toBeLessThan(100);
  expect(world.now() - began).toBeGreaterThanOrEqual(120 * HOUR_MS);
  expect(hooks.list()).toMatchObject([{ state: "disabled", after: 0, why: "it answered 302" }]);
  expect(hooks.problems()).toEqual(["a webhook at 127.0.0.1:9 failed for too long and is told nothing more"]);
  const count = world.posted.length;
  await comes("two");
  expect(world.posted).toHaveLength(count);
  const [old] = hooks.list();
  await hooks.remove(old?.id ?? "");
  world.answer = () => 200;
  await hooks.add({ url, after: old?.after });
  await settled();
  expect(numbers().slice(count)).toEqual([1, 2]);
  expect(hooks.problems()).toEqual([]);
});

test("who answers Gone is believed", async () => {
  const hooks = await start();
  await hooks.add({ url });
  world.answer = () => 410;
  await comes("one");
  expect(hooks.list()).toMatchObject([{ state: "disabled" }]);
});

test("a store that fails once holds no mail back until other mail comes", async () => {
  const hooks = await start();
  await hooks.add({ url });
  failing = 1;
  await comes("one");
  expect(world.posted).toEqual([]);
  await world.step();
  expect(numbers()).toEqual([1]);
  // Nor when it is told, and only that could not be written.
  await rm(dir, { recursive: true });
  await comes("two");
  await mkdir(dir);
  await world.step();
  await comes("three");
  expect(numbers()).toEqual([1, 2, 3]);
  expect(await world.step()).toBe(false);
});

test("one that could not be written is not there, and one whose removal could not be written still is", async () => {
  const hooks = await start();
  const { id } = await hooks.add({ url });
  await rm(dir, { recursive: true });
  await expect(hooks.add({ url, after: 0 })).rejects.toMatchObject({ code: "store-failed" });
  await expect(hooks.remove(id)).rejects.toMatchObject({ code: "store-failed" });
  expect(hooks.list()).toMatchObject([{ id }]);
  await mkdir(dir);
  await comes("one");
  expect(numbers()).toEqual([1]);
  await hooks.remove(id);
  expect((await start()).list()).toEqual([]);
});

test("of more than a thousand things that wait the oldest are not told, and no other", async () => {
  const answers = world.post;
  world.post = async (...args) => {
    await Promise.resolve();
    // While the first is told so many come that it is pushed out.
    if (world.posted.length === 0)
      for (let i = 1; i <= 1000; i++) tell({ type: "state", id: `${i}`, contact: "c1" } as never);
    return await answers(...args);
  };
  const hooks = await start();
  await hooks.add({ url, events: ["state"] });
  tell({ type: "state", id: "0", contact: "c1" } as never);
  await settled();
  expect(world.posted.map(({ body }) => body.data["id"])).toEqual(Array.from({ length: 1001 }, (_, i) => `${i}`));
});

test("addresses that are none of the web, and more than sixteen, are refused", async () => {
  const hooks = await start();
  for (const bad of ["ftp://x/", "file:///etc/passwd", "x", "http://a:b@host/", "javascript:1", "http://"])
    await expect(hooks.add({ url: bad })).rejects.toMatchObject({ code: "bad-url" });
  for (let i = 0; i < 16; i++) await hooks.add({ url });
  await expect(hooks.add({ url })).rejects.toMatchObject({ code: "full" });
  await expect(hooks.remove("nobody")).rejects.toMatchObject({ code: "not-found" });
});

test("a file that another key sealed is no reason to begin without its hooks", async () => {
  await (await start()).add({ url });
  const other = { peer, file: join(dir, "webhooks"), key: new Uint8Array(32), world };
  await expect(openWebhooks(other)).rejects.toMatchObject({ code: "store-damaged" });
});

test("a real server is told, and where it sends us we do not go", async () => {
  const got: { path: string; body: string }[] = [];
  const server = createServer(async (request, response) => {
    got.push({ path: request.url ?? "", body: await text(request) });
    response.writeHead(got.length === 1 ? 307 : 200, { location: "/elsewhere" }).end("x".repeat(100_000));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const retries: (() => void)[] = [];
  const hooks = await openWebhooks({ peer, file: join(dir, "real"), key, world: realWith(retries) });
  open.push(hooks);
  await hooks.add({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook` });
  mails.push({ n: 1, contact: "c1", kind: "text", text: "hi", time: 1, received: 2 } as unknown as Received);
  tell({ type: "mail" } as never);
  await expect.poll(() => retries.length).toBe(1);
  retries[0]?.();
  await expect.poll(() => hooks.list()[0]?.after).toBe(1);
  expect(got.map(({ path }) => path)).toEqual(["/hook", "/hook"]);
  await new Promise((resolve) => server.close(resolve));
});

/** This world, but for its timers. */
function realWith(retries: (() => void)[]): Partial<World> {
  return {
    later: (_, run) => {
      retries.push(run);
      return () => {};
    },
  };
}
