/**
 * What every cipher set must do, whatever its mathematics. A list without a test framework; each `run` throws when the set
 * is wrong.
 */
import { assert, concat, equal, type Random, toHex } from "../bytes/index.ts";
import {
  type ChannelCipher,
  type CipherSet,
  type Ephemeral,
  type KeyPair,
  portable,
  routingToken,
} from "../crypto/index.ts";
import { Chance } from "./chance.ts";

/** A cipher set, and what its law says of it. */
export interface CipherSetUnderTest {
  readonly set: CipherSet;
  /** Three identities. */
  readonly pairs: readonly [KeyPair, KeyPair, KeyPair];
  /** Bytes that a message draws beside its exchange. */
  readonly nonce: number;
  /** So many bytes at the end of a BODY are the sender's proof, and not needed to decrypt. */
  readonly proof: number;
  /** Whether nothing but `verify` tells a message from noise. */
  readonly opensNoise?: boolean;
  /** How often each property is tried: 3a takes 3 ms on `portable`. */
  readonly rounds: number;
}

/** The tests for the cipher set that `make` gives; call each `run` and report what it throws under its `name`. */
export function cipherSetSuite(make: () => CipherSetUnderTest): { name: string; run: () => void }[] {
  const test = (name: string, run: (bench: Bench) => void) => ({ name, run: () => run(new Bench(make())) });
  return [...messages(test), ...refusals(test), ...channels(test)];
}

type Test = { name: string; run: () => void };
type MakeTest = (name: string, run: (bench: Bench) => void) => Test;

function messages(test: MakeTest): Test[] {
  return [
    test("[A5] a message opens to its inner packet and to the exchange that it carries", (bench) => {
      const { set, bob } = bench;
      bench.each((inner) => {
        const ephemeral = bench.exchange();
        const body = bench.seal(inner, ephemeral);
        const { inner: found, ephemeral: key, prefix } = given(set.open(bob, body));
        same(found, inner, "inner");
        same(key, ephemeral.key, "key of the exchange");
        same(prefix, ephemeral.prefix, "prefix of the exchange");
        same(body.subarray(0, prefix.length), prefix, "beginning of the BODY");
        assert(prefix.length >= 16, "enough for a token");
        assert(body.length + 3 === inner.length + set.overhead, "overhead");
      });
    }),

    test("only the identity that sealed a message is its sender", (bench) => {
      const { set, alice, bob, mallory } = bench;
      bench.each((inner) => {
        const opened = given(set.open(bob, bench.seal(inner)));
        assert(opened.verify(alice.key), "its sender");
        assert(!opened.verify(mallory.key) && !opened.verify(bob.key), "another");
      });
    }),

    test("nobody but the recipient opens or verifies a message", (bench) => {
      const { set, alice, mallory } = bench;
      const body = bench.seal(bytes(1, 2, 3));
      for (const other of [mallory, alice]) assert(!bench.proves(other, alice, body), "it does not verify");
      if (bench.opensNoise) return;
      for (const other of [mallory, alice]) assert(set.open(other, body) === undefined, "it does not open");
    }),

    test("what was opened outlives the datagram it came in", (bench) => {
      const { set, bob } = bench;
      const [ephemeral, inner] = [bench.exchange(), bytes(1, 2, 3)];
      const body = bench.seal(inner, ephemeral);
      const opened = given(set.open(bob, body));
      const [one, two] = bench.channel();
      const packet = one.seal(TOKEN, inner, bench.random);
      const received = two.open(packet);
      body.fill(0);
      packet.fill(0);
      same(opened.inner, inner, "inner");
      same(opened.ephemeral, ephemeral.key, "key");
      same(opened.prefix, ephemeral.prefix, "prefix");
      same(received, inner, "of the channel");
    }),

    test("[A24][B46] all messages of an exchange begin with the same 16 bytes, those of another with others", (bench) => {
      const prefixes = (count: number): Set<string> => {
        const ephemeral = bench.exchange();
        const bodies = Array.from({ length: count }, (_, i) => bench.seal(bench.random(i % 50), ephemeral));
        assert(new Set(bodies.map(String)).size === count, "all differ");
        return new Set(bodies.map((body) => toHex(body.subarray(0, 16))));
      };
      const [one, other] = [prefixes(100), prefixes(2)];
      assert(one.size === 1 && other.size === 1, "one prefix each");
      assert([...one][0] !== [...other][0], "another one");
    }),

    test("[A7] a thousand messages of one exchange all open and verify", (bench) => {
      const ephemeral = bench.exchange();
      for (let i = 0; i < 1000; i++) {
        const opened = given(bench.set.open(bench.bob, bench.seal(bytes(i, i >> 8), ephemeral)));
        same(opened.inner, bytes(i, i >> 8), `message ${i}`);
        assert(opened.verify(bench.alice.key), `message ${i} verifies`);
      }
    }),

    test("sealing depends on its arguments and the draws, on nothing else", (bench) => {
      const { set, alice, bob, nonce } = bench;
      const seal = (exchange: number, message: number, drawn: number[] = []): Uint8Array => {
        const ephemeral = given(set.exchange(bob.key, new Chance(exchange).random));
        const { random } = new Chance(message);
        const counting: Random = (length) => {
          drawn.push(length);
          return random(length);
        };
        return given(set.seal(alice, bob.key, ephemeral, bytes(1, 2, 3), counting));
      };
      const drawn: number[] = [];
      const body = seal(1, 2, drawn);
      assert(String(drawn) === String(nonce), `drew ${drawn}`);
      same(seal(1, 2), body, "sealed again");
      assert(!equal(seal(1, 3), body) && !equal(seal(3, 2), body), "other draws give other bytes");
    }),

    test("a pair comes back from its secret, and later changes of that array do not matter", ({ set, alice }) => {
      const secret = alice.secret.slice();
      const pair = given(set.keyPair(secret));
      secret.fill(0);
      same(pair.key, alice.key, "key");
      same(pair.secret, alice.secret, "secret");
    }),
  ];
}

function refusals(test: MakeTest): Test[] {
  return [
    test("a changed byte anywhere is noticed: a message does not verify, a channel packet does not open", (bench) => {
      const { set, alice, bob, proof, opensNoise } = bench;
      const [one, two] = bench.channel();
      bench.each((inner) => {
        const message = bench.changed(bench.seal(inner));
        assert(!bench.proves(bob, alice, message.bytes), `byte ${message.at} of a message`);
        // The proof is the sender's; decryption does not need it.
        if (!opensNoise && message.at < message.bytes.length - proof)
          assert(set.open(bob, message.bytes) === undefined, `byte ${message.at} of a message opens`);

        const packet = bench.changed(one.seal(TOKEN, inner, bench.random), TOKEN.length); // the token is for routing
        assert(two.open(packet.bytes) === undefined, `byte ${packet.at} of a packet`);
      });
    }),

    test("a cut or extended message neither opens nor verifies", (bench) => {
      const { set, alice, bob, opensNoise } = bench;
      const body = bench.seal(bytes(1, 2, 3));
      const other = [concat(body, bytes(0)), ...Array.from(body, (_, length) => body.subarray(0, length))];
      for (const wrong of other) {
        assert(!bench.proves(bob, alice, wrong), `${wrong.length} bytes verify`);
        assert(opensNoise || set.open(bob, wrong) === undefined, `${wrong.length} bytes open`);
      }
    }),

    test("no bytes make anything throw", (bench) => {
      const { set, alice, bob, random } = bench;
      const [one] = bench.channel();
      const ephemeral = bench.exchange();
      const known = given(set.open(bob, bench.seal(bytes(1))));
      for (let length = 0; length < 300; length++) {
        const [noise, key] = [random(length), random(length % 50)];
        assert(!bench.proves(bob, alice, noise), "noise verifies");
        assert(bench.opensNoise || set.open(bob, noise) === undefined, "noise opens");
        assert(one.open(noise) === undefined, "noise opens as packet");
        for (const wrong of [noise, key]) {
          if (wrong.length !== alice.key.length) assert(!set.isKey(wrong), "noise is a key");
          assert(!known.verify(wrong), "noise is the sender");
          assert(set.isKey(wrong) || set.seal(alice, wrong, ephemeral, noise, random) === undefined, "sealed to noise");
          assert(set.isKey(wrong) || set.exchange(wrong, random) === undefined, "an exchange with noise");
          if (wrong.length !== ephemeral.key.length) assert(set.channel(ephemeral, wrong) === undefined, "a channel");
          if (wrong.length < 20) assert(set.keyPair(wrong) === undefined, "noise is a secret");
        }
      }
    }),

    test("a key of zeros is refused wherever a peer can bring one", (bench) => {
      const { set, alice, bob, random } = bench;
      const zeros = new Uint8Array(alice.key.length);
      const ephemeral = bench.exchange();
      const body = bench.seal(bytes(1), ephemeral);
      assert(!given(set.open(bob, body)).verify(zeros), "as the sender's");
      assert(set.seal(alice, zeros, ephemeral, body, random) === undefined, "as the recipient's");
      assert(set.channel(ephemeral, new Uint8Array(ephemeral.key.length)) === undefined, "of a channel");
      const { length } = ephemeral.prefix;
      assert(set.open(bob, concat(new Uint8Array(length), body.subarray(length))) === undefined, "in a message");
    }),
  ];
}

function channels(test: MakeTest): Test[] {
  return [
    test("[A27] channel packets bear the recipient's token and open at the other end alone", (bench) => {
      const { set, alice, bob, random } = bench;
      const [ours, theirs] = [bench.exchange(), given(set.exchange(alice.key, random))];
      const [one, two] = [given(set.channel(ours, theirs.key)), given(set.channel(theirs, ours.key))];
      const eve = given(set.channel(bench.exchange(), ours.key));
      same(one.sendKey, two.receiveKey, "one direction");
      same(two.sendKey, one.receiveKey, "the other");
      assert(!equal(one.sendKey, one.receiveKey), "are not the same");
      // What the recipient's own messages begin with makes the token of packets to it.
      const token = routingToken(portable, given(set.seal(bob, alice.key, theirs, random(9), random)));
      bench.each((inner) => {
        const packet = one.seal(token, inner, random);
        same(packet.subarray(0, 16), token, "token");
        same(two.open(packet), inner, "inner");
        assert(one.open(packet) === undefined && eve.open(packet) === undefined, "opens elsewhere");
      });
    }),

    test("packets sealed and opened in place are those of seal and open", (bench) => {
      const [one, two] = bench.channel();
      const [{ inPlace }, { inPlace: back }, front] = [one, two, bench.set.channelFront];
      if (inPlace === undefined || back === undefined || front === undefined) return;
      bench.each((inner, round) => {
        const nonce: Random = (length) => new Chance(round).random(length);
        const body = concat(new Uint8Array(front), inner);
        inPlace.seal(TOKEN, body, nonce);
        same(body, one.seal(TOKEN, inner, nonce), "sealed");
        const { bytes: wrong } = bench.changed(body, TOKEN.length);
        const before = wrong.slice();
        assert(back.open(wrong, 0) === -1, "a changed byte");
        same(wrong, before, "a refused BODY");
        assert(back.open(body, 0) === front, "opened");
        same(body.subarray(front), inner, "opened");
      });
    }),

    test("a channel with our own key reflected at us is refused", (bench) => {
      const ours = bench.exchange();
      assert(bench.set.channel(ours, ours.key) === undefined, "reflected");
    }),
  ];
}

const TOKEN = new Uint8Array(16).fill(7);

/** A set, its three people, and draws that are the same on every run. */
class Bench implements CipherSetUnderTest {
  readonly set: CipherSet;
  readonly pairs: CipherSetUnderTest["pairs"];
  readonly alice: KeyPair;
  readonly bob: KeyPair;
  readonly mallory: KeyPair;
  readonly nonce: number;
  readonly proof: number;
  readonly opensNoise: boolean;
  readonly rounds: number;
  readonly random: Random = new Chance(1).random;

  constructor({ set, pairs, nonce, proof, opensNoise = false, rounds }: CipherSetUnderTest) {
    this.set = set;
    this.pairs = pairs;
    [this.alice, this.bob, this.mallory] = pairs;
    this.nonce = nonce;
    this.proof = proof;
    this.opensNoise = opensNoise;
    this.rounds = rounds;
  }

  /** Inner packets of many lengths. */
  each(check: (inner: Uint8Array, round: number) => void): void {
    for (let round = 0; round < this.rounds; round++) check(this.random((round * 37) % 300), round);
  }

  /** Alice's side of a new exchange with Bob. */
  exchange(): Ephemeral {
    return given(this.set.exchange(this.bob.key, this.random));
  }

  /** A message of Alice to Bob. */
  seal(inner: Uint8Array, ephemeral: Ephemeral = this.exchange()): Uint8Array {
    return given(this.set.seal(this.alice, this.bob.key, ephemeral, inner, this.random));
  }

  /** Whether `to` can open the BODY and `from` is its sender. */
  proves(to: KeyPair, from: KeyPair, body: Uint8Array): boolean {
    return this.set.open(to, body)?.verify(from.key) === true;
  }

  /** Both ends of a channel. */
  channel(): [ChannelCipher, ChannelCipher] {
    const [ours, theirs] = [this.exchange(), given(this.set.exchange(this.alice.key, this.random))];
    return [given(this.set.channel(ours, theirs.key)), given(this.set.channel(theirs, ours.key))];
  }

  /** A copy with one byte changed, from place `from` on. */
  changed(original: Uint8Array, from = 0): { bytes: Uint8Array; at: number } {
    const [a = 0, b = 0, flip = 0] = this.random(3);
    const at = from + ((a * 256 + b) % (original.length - from));
    const copy = original.slice();
    copy[at] = (copy[at] ?? 0) ^ (flip || 1);
    return { bytes: copy, at };
  }
}

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

function given<T>(value: T | undefined): T {
  assert(value !== undefined, "a value where one was due");
  return value;
}

function same(actual: Uint8Array | undefined, expected: Uint8Array, what: string): void {
  const is = actual && toHex(actual);
  assert(is === toHex(expected), `${what}: ${is} should be ${toHex(expected)}`);
}
