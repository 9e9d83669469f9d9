/** A received mail as the API shows it. */
import { type Peer, type Received, shownTime } from "restante";
import type { MessageInfo } from "./contract.ts";

/** With the name that its contact has now. */
export function messageInfo(peer: Pick<Peer, "contacts">, mail: Received): MessageInfo {
  const { n, id, contact, from, time: claimed, received, kind, suite, text, file, why } = mail;
  const time = shownTime(claimed, received);
  return {
    ...{ n, id, contact, from, time, received, kind },
    ...(time < claimed ? { claimed } : {}),
    ...nameOf(peer, contact),
    ...(suite === undefined ? {} : { suite }),
    ...(text === undefined ? {} : { text }),
    ...(file === undefined
      ? {}
      : { file: { name: file.name, media: file.media, size: file.size, sha256: file.sha256 } }),
    ...(why === undefined ? {} : { why }),
  };
}

/** Of a contact (its id), where it has a name. */
export function nameOf(peer: Pick<Peer, "contacts">, contact: string | undefined): { name?: string } {
  const name = peer.contacts().find(({ id }) => id === contact)?.name;
  return name === undefined ? {} : { name };
}

/** The name of the contact one of whose devices a cache is, when it has one. */
export function ownerName(peer: Pick<Peer, "contacts">, contact: string): { ofName?: string } {
  const { name } = nameOf(peer, contact);
  return name === undefined ? {} : { ofName: name };
}
