/** The machines and tables of which `Mail` is made. None knows of another but by what it is given here. */
import { ofJson, type Time, toHex } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { Brought } from "./brought.ts";
import { CANARY_KEY, Canary } from "./canary.ts";
import { Composer } from "./compose.ts";
import type { Correspondent } from "./correspondent.ts";
import { Disk } from "./disk.ts";
import { isForwardKey } from "./forward.ts";
import { Inbox } from "./inbox.ts";
import type { LineKind } from "./lines.ts";
import { People } from "./people.ts";
import { Sealing } from "./sealing.ts";
import { SENT_COUNT_KEY, Sent } from "./sent.ts";
import { Slots } from "./slots.ts";
import { Spool } from "./spool.ts";
import { RESTORED_KEY, Strangers } from "./strangers.ts";
import type { MailOptions } from "./turn.ts";

/** All of them. `ownBox`: of what we leave for ourselves. */
export interface Parts {
  readonly spool: Spool;
  readonly sealing: Sealing;
  readonly inbox: Inbox;
  readonly sent: Sent;
  readonly strangers: Strangers;
  readonly canary: Canary;
  readonly people: People;
  readonly composer: Composer;
  readonly brought: Brought<Correspondent>;
  readonly disk: Disk;
  readonly slots: Slots;
  readonly ownBox: string;
}

/** As they were saved. `numbers`: for reads and flights, ascending, none twice. */
export function createParts(options: MailOptions, numbers: () => number): Parts {
  const { crypto, identity, random, saved, boxId, isInvite = () => true, isBlocked = () => false } = options;
  const isKey = (key: string): boolean => isForwardKey(crypto.backend, key);
  const draw = (): string => toHex(random(EPOCH_BYTES));
  const room = (peer: Hashname, kind: LineKind): number => people.get(peer)?.delivery.room(kind) ?? 0;
  const spool = new Spool({ saved, fresh: draw(), draw, isKey, reads: numbers, room });
  const boxOf = (sender: Hashname): string => boxId(sender, identity.hashname);
  const ownBox = boxOf(identity.hashname);
  const restored = saved.get(RESTORED_KEY);
  const at = restored === undefined ? NEVER : ofJson<{ at: Time }>(restored).at;
  const restoredAt = (): Time => Math.max(at, spool.copiedAt ?? NEVER);
  const disk = new Disk({ limit: options.disk ?? DISK_BYTES, saved });
  const slots = new Slots();
  const people = new People({ ...options, spool, slots, flights: numbers, disk });
  const named = (key: Uint8Array): Correspondent[] => people.ofBazaar(key);
  return {
    ...{ spool, disk, slots, people, ownBox },
    sealing: new Sealing({ crypto, identity, reads: numbers }),
    inbox: new Inbox({ saved: saved.get("mail/n"), reads: numbers }),
    sent: new Sent({ saved: saved.get(SENT_COUNT_KEY), isKept: options.keepSent ?? true }),
    strangers: new Strangers({ crypto, identity, saved, boxOf, isInvite, isBlocked, restoredAt }),
    canary: new Canary({
      ...{ crypto, identity, random },
      flights: numbers,
      messageId: (bytes) => options.messageId(ownBox, bytes),
      saved: saved.get(CANARY_KEY),
    }),
    brought: new Brought({ crypto, identity, boxOf, named, ofBox: (box) => people.ofBox(box) }),
    composer: new Composer({ ...options, people, spool }),
  };
}

const DISK_BYTES = 4 * 1024 ** 3;
const EPOCH_BYTES = 8;
const NEVER: Time = Number.NEGATIVE_INFINITY;
