/** The devices of the user, as each of them describes itself. protocol/card.md §6 */
import { equal, type Save, type Time } from "../bytes/index.ts";
import { type Device, deviceInRoom, encodeDevice, type Gone, MAX_DEVICES, readDevice } from "../card/index.ts";
import type { Backend, Hashname } from "../crypto/index.ts";

/** All devices that we know of, ourselves among them. */
export class Devices {
  readonly #known = new Map<Hashname, Device | Gone>();
  readonly #self: Hashname;

  /** `saved`: keys "peer/device/...". */
  constructor(backend: Backend, self: Hashname, saved: ReadonlyMap<string, Uint8Array>) {
    this.#self = self;
    for (const [key, value] of saved) {
      const known = key.startsWith(DEVICE) ? readDevice(backend, value) : undefined;
      if (known !== undefined) this.#known.set(known.hashname, known);
    }
  }

  /** Those besides us, in the order of their hashnames. */
  others(): Device[] {
    const all = [...this.#known.values()].filter((each): each is Device => !("gone" in each));
    return all.filter(({ hashname }) => hashname !== this.#self).sort((a, b) => (a.hashname < b.hashname ? -1 : 1));
  }

  /** Whether it has described itself, and is not gone. */
  isKnown(hashname: Hashname): boolean {
    const known = this.#known.get(hashname);
    return known !== undefined && !("gone" in known);
  }

  /** Whether one more can be taken in: who is gone is remembered, and counts. */
  get hasRoom(): boolean {
    return this.#known.size < MAX_DEVICES;
  }

  everything(): (Device | Gone)[] {
    return [...this.#known.values()];
  }

  /** We are as this says. Nothing when that is known. */
  describe(device: Omit<Device, "at" | "hashname">, now: Time): Save[] {
    const known = this.#known.get(this.#self);
    const at = Math.max(now, (known?.at ?? 0) + 1);
    const described = deviceInRoom({ ...device, hashname: this.#self, at });
    const isSame = known !== undefined && equal(encodeDevice({ ...described, at: known.at }), encodeDevice(known));
    return isSame ? [] : this.#put(described);
  }

  /** What another says of a device. It may not speak for us, and who is gone does not come back. */
  merge(told: Device | Gone): Save[] {
    const known = this.#known.get(told.hashname);
    if (told.hashname === this.#self || (known && "gone" in known)) return [];
    if (known !== undefined && !("gone" in told) && known.at >= told.at) return [];
    return known === undefined && this.#known.size >= MAX_DEVICES ? [] : this.#put(told);
  }

  #put(device: Device | Gone): Save[] {
    this.#known.set(device.hashname, device);
    return [{ type: "save", key: DEVICE + device.hashname, value: encodeDevice(device) }];
  }
}

const DEVICE = "peer/device/";
