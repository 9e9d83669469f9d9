import { createPeer, MemoryNetwork } from "restante";
import { linkJson, parseInvite, portable } from "restante/protocol";
import { type MemoryNames, memoryResolver } from "restante/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { failureOf } from "./failure.ts";
import { inviteFrom } from "./people.ts";

let invite = "";
let close = async (): Promise<void> => {};
beforeAll(async () => {
  const peer = await createPeer({ transports: [new MemoryNetwork().transport("bob")] });
  close = () => peer.close();
  invite = await peer.invite({ once: false });
});
afterAll(() => close());

/** What the domain bob.example publishes by WebFinger. */
function published(more: object): MemoryNames {
  const finger =
    "https://bob.example/.well-known/webfinger?resource=link%3A%2F%2Fbob.example&rel=http%3A%2F%2Ftelehash.org%2Flink";
  const href = "https://bob.example/link.json";
  return {
    web: { [finger]: { links: [{ rel: "http://telehash.org/link", href }] }, [href]: { ...linkOfBob(), ...more } },
  };
}

function linkOfBob() {
  const bob = parseInvite(portable, invite);
  if (bob === undefined) throw new Error("the invite is not readable");
  return linkJson(bob);
}

const secret = (): string => /invite=([a-z2-7]+)/.exec(invite)?.[1] ?? "";
const ask = (text: string, names: MemoryNames) => inviteFrom(text, async () => memoryResolver(names));

async function failure(text: string, names: MemoryNames): Promise<{ code: number; line: string }> {
  return failureOf(
    await ask(text, names).then(
      () => undefined,
      (error: unknown) => error,
    ),
  );
}

test("`add` takes the link of a domain that publishes an invite", async () => {
  const found = await ask("link://bob.example", published({ invite: secret() }));
  expect(parseInvite(portable, found)).toEqual(parseInvite(portable, invite));
  // And the contact comes out of it.
  const alice = await createPeer();
  const contact = await alice.add(found);
  expect(contact.hashnames).toEqual([parseInvite(portable, invite)?.hashname]);
  await alice.close();
});

test("`add` takes link JSON with an invite", async () => {
  const found = await ask(JSON.stringify({ ...linkOfBob(), invite: secret() }), {});
  expect(parseInvite(portable, found)).toEqual(parseInvite(portable, invite));
});

test("an invite goes on as it is, and so does what the daemon knows better to refuse; nobody is asked", async () => {
  const nobody = async (): Promise<never> => {
    throw new Error("asked");
  };
  for (const text of [
    invite,
    "hello",
    "bob.example",
    "link://192.0.2.1/?invite=aa",
    "link://cache.example/?t=aa",
    "link:///",
  ])
    expect(await inviteFrom(text, nobody)).toBe(text);
});

test("a domain without keys, with other keys, or without an invite is refused, each with its exit code", async () => {
  expect(await failure("link://bob.example", {})).toEqual({ code: 4, line: expect.stringMatching(/publishes none/) });
  expect(await failure("link://bob.example", published({}))).toEqual({
    code: 2,
    line: expect.stringMatching(/no invite/),
  });
  const pinned = `link://bob.example/?hashname=${"a".repeat(52)}&cs3a=aa`;
  expect(await ask(pinned, {})).toBe(pinned); // it has keys: the daemon refuses it
  const names = published({ invite: secret() });
  const [finger = "", href = ""] = Object.keys(names.web ?? {});
  const uri = `link://bob.example/?hashname=${"a".repeat(52)}`;
  const moved = finger.replace("link%3A%2F%2Fbob.example", encodeURIComponent(uri));
  const web = { [moved]: names.web?.[finger], [href]: names.web?.[href] };
  expect(await failure(uri, { web })).toEqual({ code: 5, line: expect.stringMatching(/not those/) });
});
