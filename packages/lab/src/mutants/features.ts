/**
 * Mutants of what no row of the checklist is about: what this project promises by itself. Each names the test that must notice, by its
 * title or how that begins.
 */
import { inFile, type Mutant } from "./mutant.ts";

const LINKS: readonly Mutant[] = [
  ...inFile("mesh/link.ts", [
    ["takes one packet and ends the link at both ends at once", "if (effect.ch === this.#mutual)", "if (false)"],
    [
      "is no more than a channel to a peer that opens one of type link and goes on",
      "this.#mutual = effect.ch;",
      "for (const one of this.#stop(LEFT, now)) out.push(one);",
    ],
    ["nobody is called who has just left", "hasLeft && hasLasted ? LEFT_MS : undefined", "undefined"],
    [
      "who was there for less than a minute",
      "hasLeft && hasLasted ? LEFT_MS : undefined",
      "hasLeft ? LEFT_MS : undefined",
    ],
    ["is looked for only where it was, when it has said goodbye", "hasLeft ? this.#path : undefined", "undefined"],
    ["has others called 40 times a minute", "return this.#calls.take(now);", "return true;"],
  ]),
  ...inFile("mesh/mesh.ts", [
    [
      "also reaches a peer that is behind a router",
      "const ordered = [...links.filter(isRelayedTo), ",
      "const ordered = [",
    ],
  ]),
  ...inFile("e3x/handshaking.ts", [
    [
      "a peer that says its lower `at` once is answered",
      'state: to === "known" ? withRepeat(state, which, sent.repeated, true) : state',
      "state",
    ],
  ]),
];

const PEOPLE: readonly Mutant[] = [
  ...inFile("mail/strangers.ts", [
    ["mail of 256 people is counted after a restore", "this.#aside.size < ASIDE", "true"],
    [
      "mail of 256 people is counted after a restore",
      "opened === undefined && mayWait && isSealedFor(crypto, identity, bytes)",
      "opened === undefined && mayWait",
    ],
    ["after a restore what is no hello stays", "isIgnored && looked?.aside === true", "isIgnored && false"],
    ["after a restore what is no hello stays", "this.#aside.clear();", ""],
    ["after a restore what is no hello stays", 'source.type === "cache" && this.#isRestored', "this.#isRestored"],
  ]),
  ...inFile("peer/restored.ts", [
    [
      "nothing is taken away at the caches before the writer is known",
      "value: asJson({ at: now })",
      "value: undefined",
    ],
  ]),
  ...inFile("peer/offers.ts", [
    ["what a contact offers is heard of once", ".filter(({ hashname }) => !uses(hashname))", ""],
  ]),
  ...inFile("peer/door.ts", [
    [
      "only contacts are let in by an offer",
      "contact !== undefined && this.offer !== undefined ? this.#takers.take(peer, contact, now)",
      'this.offer !== undefined ? this.#takers.take(peer, contact ?? "", now)',
    ],
    [
      "an offer that ends is gone from the contacts",
      "contact !== undefined && this.offer !== undefined ?",
      "contact !== undefined ?",
    ],
    ["a contact that used an offer loses it with", "if (this.#takers.isOver(recipient)) return undefined;", ""],
    ["a contact that used an offer loses it with", " + REVISIONS * this.#takers.revision", ""],
    [
      "who lost what was offered has it again",
      'if (kind === "join") return this.#takers.settle(peer);',
      'if (kind === "join") return [];',
    ],
  ]),
  ...inFile("peer/takers.ts", [
    ["four devices of a contact have a place", "others.length < MAX_TAKERS", "others.length <= MAX_TAKERS"],
    ["4096 whose place is over", "Math.max(0, over.length - MAX_OVER)", "0"],
  ]),
  ...inFile("peer/acquaintance.ts", [
    [
      "a device that its owner gave up loses the place",
      "...this.endOffered((hashname) => devices.includes(hashname), now),",
      "",
    ],
  ]),
];

const API = "packages/node/src/api";
const MAIL: readonly Mutant[] = [
  ...inFile("mail/received.ts", [
    [
      "a file is acknowledged with the turn that shows it",
      "this.#numbering.report([...this.#files.values()].filter(({ isWhole }) => isWhole))",
      "this.#numbering.report()",
    ],
    [
      "of a file that its sender cancelled nothing is kept",
      "file !== undefined && markOf(file.id) !== mark;",
      "false;",
    ],
    [
      "of a file that its sender cancelled nothing is kept",
      "this.#cancelled.is(epoch, seq, envelope.id) === true;",
      "false;",
    ],
  ]),
  ...inFile("mail/spool.ts", [
    ["of a file that is taken back both sides hear soon", 'type: "floor", peer, isUrgent: true', 'type: "floor", peer'],
  ]),
  ...inFile("mail/acknowledgement.ts", [
    [
      "says nothing of the parts that the one after it has",
      "(since === undefined || ack.by === this.present || knows(ack, since))",
      "true",
    ],
    ["that the present one says it left, is an old one", "for (const by of ack.left ?? []) this.#remember(by);", ""],
  ]),
  ...inFile("mail/pair.ts", [
    ["says nothing of the parts that the one after it has", "...(since && { since }),", ""],
    ["says nothing of the parts that the one after it has", "{ epoch: this.#epoch, seq: 1 };", "since;"],
  ]),
  ...inFile("mail/delivery.ts", [
    ["what was told of parts is believed for a day", "if (parcel.offers > 0) this.#disbelieve(parcel);", ""],
    ["a file that is larger than the box goes box by box", "takenBack(parcel, have);", ""],
    [
      "a file that is larger than the box goes box by box",
      "nextAgain(progress.copy, have(parcel), progress.flying)",
      "undefined",
    ],
  ]),
  ...inFile("box/inbox.ts", [
    [
      "is dead over there: it is opened anew",
      "if (reader !== undefined && this.#isDead(reader, now)) this.#dismiss(reader);",
      "",
    ],
    ["is dead over there: it is opened anew", "reader.toldAgain = undefined;", ""],
  ]),
];

const SERVING: readonly Mutant[] = [
  ...inFile("peer/serving.ts", [
    ["on demand nobody is served before it is said", "options.saved.has(SERVES) ? {", "true ? {"],
    ["with the cache ends its offer", "...(on ? [] : [door.setOffered(false)]),", ""],
  ]),
  ...inFile("box/inbox.ts", [
    ["is none if it says that it keeps 0 bytes", "this.#said(way, cap > 0);", ""],
    [
      "is none if it says that it keeps 0 bytes",
      "if (reader.isAsking && !this.#isBusy(reader)) this.#dismiss(reader);",
      "",
    ],
  ]),
  ...inFile("mail/canary.ts", [
    ["a test that is out when its cache says that ends with it", 'outcome === "lost" && cage.isNone', "false"],
    ["one that says it is a cache again is tested soon", "cage.nextAt = now;", ""],
  ]),
  ...inFile("driver.ts", [
    ["waits for the commit that is under way", "this.#isNewWanted && !this.#isBusy", "this.#isNewWanted"],
  ]),
  ...inFile("serving.ts", [
    ["what a cache kept is overwritten when it ends", "now + BOX_LIMITS.lifetime + DAY_MS", "now"],
  ]),
];

const PROGRAMS: readonly Mutant[] = [
  ...inFile(`${API}/once.ts`, [
    ["with another request is refused", "if (before !== undefined && before.asked !== asked) throw reused();", ""],
    ["is kept over a crash: before the mail was sent", "if (before === undefined) await note(name, it);", ""],
    ["stands for one mail, in whatever order", ".sort(([a], [b]) => (a < b ? -1 : 1))", ""],
    ["is free again after a day", "if (at <= now() - KEEP_MS || at", "if (at"],
    ["that is asked twice at the same time sends once", "busy.set(name, turn);", ""],
  ]),
  ...inFile(`${API}/file.ts`, [
    ["behind the last byte that is asked for nothing is read", "if (at >= to) return;", ""],
    ["behind the last byte that is asked for nothing is read", "Math.min(Number(last) + 1, size)", "Number(last)"],
  ]),
  ...inFile("packages/node/src/webhooks.ts", [
    ["the signature is that of Standard Webhooks' own example", "secret.slice(SECRET.length)", "secret"],
    ["without content nothing is told", "kept.content ? shown : discreet(shown)", "shown"],
    ["who answers Gone is believed", "status === 410 || now", "now"],
    ["what fails is tried again", "if (!isTaken) return false;", ""],
  ]),
];

const WEB = "packages/node/src/web";
const PAGE: readonly Mutant[] = [
  ...inFile(`${WEB}/password.ts`, [
    ["is right when it is that one", "return timingSafeEqual(", "return !!("],
    ["of one address are five, then one a minute", "own.take(now);", ""],
    ["of a network of IPv6 are counted together", ".slice(0, 4).join", ".slice(0, 8).join"],
    ["of all addresses together are sixty", "!isApart && !this.#all.take(now)", "!this.#all.take(now)"],
  ]),
  ...inFile(`${WEB}/hosts.ts`, [
    ["a name that leads here, as by DNS rebinding", "digits === String(port) && (", "("],
    ["answers under its own names and addresses", "if (!isOurs) return undefined;", ""],
  ]),
];

const FILES: readonly Mutant[] = [
  ...inFile("packages/node/src/config/force.ts", [
    ["a flag goes before the environment", "if (flag !== undefined)", "if (flag)"],
    [
      "a flag goes before the environment",
      'if (text !== undefined && text !== "") {',
      'if (text !== undefined && text !== "" && !file?.said.has(name)) {',
    ],
  ]),
  ...inFile("packages/node/src/store/frames.ts", [
    ["of which a frame is missing, doubled or moved", "nonce[23] = isLast ? 1 : 0;", ""],
    ["of which a frame is missing, doubled or moved", "BigInt(counter)", "0n"],
  ]),
  ...inFile("packages/node/src/sealing.ts", [
    [
      "who seals without a name leaves nothing of itself",
      "asked.isAnonymous ? undefined : known.identity",
      "known.identity",
    ],
  ]),
  ...inFile("packages/node/src/sealed-file.ts", [
    [
      "by a lower cipher set than both have is refused",
      " || opened.csid !== highestCommon(crypto, identity.keys, keys)",
      "",
    ],
    ["in the name of somebody else than who sealed it", "if (!opened.verify(key)) return undefined;", ""],
  ]),
];

const APPLICATIONS: readonly Mutant[] = [
  ...inFile("peer.ts", [
    [
      "a stranger with a link sees of a type that is served",
      'serves(kind) && this.#book.isPeer(peer) ? "application"',
      'serves(kind) ? "application"',
    ],
  ]),
  ...inFile("application/application.ts", [
    ["who sends before there is room waits", "Math.min(channel.credit, waiting.length)", "waiting.length"],
    ["a packet is taken when somebody receives it", "channel.reliable && !channel.isClosed;", "false;"],
    ["bytes of a packet are kept as they came", "body: body.slice(), size", "body, size"],
    ["all that waits on a channel hears of its end", "else this.#remember(ch, why);", ""],
    ["what is unread at a good end can still be read", "if (why !== undefined || unread.length === 0)", "if (true)"],
    ["a call waits for a link, 40 seconds", "Math.min(wait, OPEN_MS)", "2 * OPEN_MS"],
    ["each end opens eight to the other at most", "if (channel.isOurs !== isOurs) continue;", ""],
    ["however many devices a contact has", " || (!isOurs && ofContact >= CHANNELS_OF_CONTACT)", ""],
    ["the half of all is ours", "!isOurs && this.#theirs >= CHANNELS / 2", "false"],
    ["a head has as many fields as arrive", "> FIELDS) return TOO_MANY", "> 64) return TOO_MANY"],
    ["who is a contact no more has no channels", "all.filter(({ peer }) => !isContact(peer))", "[] as Channel[]"],
    ["channels wait for who accepts them", "this.#fail(channel, UNKNOWN, UNKNOWN)", "[] as ApplicationOut[]"],
    ["what nobody receives takes 2 MiB", "unreadBytes > UNREAD_BYTES", "unreadBytes > 16 * UNREAD_BYTES"],
    ["of an unreliable channel 64 packets wait", "channel.unread.length >= UNREAD_DATAGRAMS", "false"],
    ["ten minutes without a packet end a channel", "channel.usedAt + IDLE_MS <= now", "true"],
  ]),
  ...inFile("run-channels.ts", [
    [
      "a peer that begins anew ends its channels",
      "for (const registration of this.#served.values()) void this.#accept(registration);",
      "return;",
    ],
    ["who stops serving a type and serves it anew at once", "if (this.#served.get(type) !== registration) return;", ""],
  ]),
  ...inFile("card/naming.ts", [
    ["as another's id or hashname begins is not taken for that one", "proven.push(one)", "begun.push(one)"],
    ["a whole name goes before the start of another", "(isName ? [] : begun)]", "begun]"],
    ["a whole id or hashname means whose it is", "WHOLE.test(wanted)", "false"],
  ]),
];

export const FEATURES: readonly Mutant[] = [
  ...LINKS,
  ...PEOPLE,
  ...MAIL,
  ...SERVING,
  ...PROGRAMS,
  ...APPLICATIONS,
  ...PAGE,
  ...FILES,
];
