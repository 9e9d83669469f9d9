/** What each tool of the lab takes on its command line. `npm run -s NAME -- --help` prints it. */
import type { Tool } from "./command-line.ts";

const JSON_OPTION = { text: "print JSON" };

export const BENCH: Tool<"json"> = {
  name: "bench",
  purpose: "CPU time of what matters, each beside what the bare calls under it cost in the same run. docs/benches.md",
  operands: "[NAME | peers [PEER,...] | plot FILE]",
  options: { json: JSON_OPTION },
  more: `NAME: a part of the keys to run, such as e3x, channel.3a or cache. Default: all,
which takes some minutes; let nothing else run meanwhile.
peers: our cache and mosquitto,redis,nats,prosody or some of them, at the same
work. Those that are not installed are left out.
plot: a picture (SVG) of a recorded run of peers.`,
  examples: [
    ["e3x.3a", "messages of cipher set 3a: sealed and opened"],
    ["--json > bench.json", "all of them, with the machine that they ran on"],
    ["peers mosquitto,redis --json > peers.json", "a cache beside two brokers"],
    ["plot peers.json > peers.svg", "bars of what these cost"],
  ],
  exits: "0 measured, 1 a bench failed",
};

export const CLUSTER: Tool<"json"> = {
  name: "cluster",
  purpose:
    "A Redis Cluster of three primaries and three replicas as the store of a cache: what a message costs there, and what is lost when a primary is killed. Needs redis-server. docs/cluster.md",
  options: { json: JSON_OPTION },
  examples: [
    ["", "takes two minutes"],
    ["--json > cluster.json", "with the machine that it ran on"],
  ],
  exits: "0 no mail was lost in the end, 1 some was",
};

export const CONFORMANCE: Tool<"json"> = {
  name: "conformance",
  purpose:
    "Runs all tests of all packages, and says for each requirement of the sources whether a test proves it: passed, failed, or without a test.",
  options: { json: JSON_OPTION },
  examples: [
    ["", "a table by section, and the ids of all requirements"],
    ["--json", "figures, and the ids that failed or have no test"],
  ],
  exits: "0 no requirement failed, 1 one failed or a test could not run",
};

export const DEMO: Tool<"bazaar"> = {
  name: "demo",
  purpose:
    "Bob's process is gone when Alice writes, hers is gone when he reads; only a cache runs all the time. Each step is checked.",
  operands: "[FILE...]",
  options: {
    bazaar: {
      text: "over OpenBazaar's way: eight nodes of a DHT and a push node instead of the cache; half of the DHT is killed in between",
    },
  },
  more: "FILE: what Alice sends beside a text, 7 MiB in all at most. Default: a picture\nand five MiB that are new each time.",
  examples: [
    ["", "takes less than a minute; writes to a temporary folder only"],
    ["README.md", "sends this file"],
    ["--bazaar", "eleven processes"],
  ],
  exits: "0 everything was as promised, 1 something was not",
};

export const EXPLORE: Tool<"states" | "json"> = {
  name: "explore",
  purpose:
    "Does with two peers all that can happen to their handshakes, in every order: sent, lost, doubled, replayed, restarted, clocks set back. Says which invariants held in how many states.",
  options: {
    states: { value: "N", text: "at most so many states of each setup (default: 1000000)" },
    json: JSON_OPTION,
  },
  examples: [
    ["--states 20000", "a look that takes seconds"],
    ["--json", "all of it, as packages/lab/results keeps it"],
  ],
  exits: "0 all invariants held, 1 one was broken; the steps that lead there are printed",
};

export type FuzzOption =
  | "minutes"
  | "target"
  | "seed"
  | "list"
  | "keep"
  | "recorded"
  | "record"
  | "steps"
  | "replay"
  | "worker";
export const FUZZ: Tool<FuzzOption> = {
  name: "fuzz",
  purpose:
    "Hostile input for every parser, opener and machine, two targets at a time, each in a process of its own; what the code did with an input decides what is damaged next.",
  operands: "[HEX]",
  options: {
    minutes: { value: "N", text: "for each target (default: 1)" },
    target: { value: "NAME", text: "only this one", isRepeatable: true },
    seed: {
      value: "N",
      text: "below 2147483648; with the corpus it decides all that is tried (default: by the clock)",
    },
    recorded: {
      text: "for each target as many inputs as packages/lab/fuzz/steps.json says, and no minutes: the same work on each machine",
    },
    record: { text: "write there what the minutes came to" },
    list: { text: "print the names of all targets" },
    keep: { text: "add to packages/lab/fuzz/corpus what reached something new" },
    replay: { value: "NAME", text: "give the one input HEX to this target; - as HEX: read it from stdin" },
    worker: { text: "is the process of one target", isHidden: true },
    steps: { value: "N", text: "so many inputs, of a worker", isHidden: true },
  },
  examples: [
    ["--minutes 10 --keep", "all of them; the corpus becomes better"],
    ["--recorded --seed 1", "what CI does: the same inputs each time"],
    ["--target parseLink --target parseInvite", "these two, a minute each"],
    ["--replay parseLink 6c696e6b", "one input, as a failure prints it"],
  ],
  exits: "0 every promise was kept, 1 one was broken",
};

export type MutantsOption = "row" | "sample" | "seed" | "workers" | "json";
export const MUTANTS: Tool<MutantsOption> = {
  name: "mutants",
  purpose:
    "Breaks the source in one line at a time, in copies of the project: a test with the id of the broken requirement in its title must notice.",
  options: {
    row: { value: "ID", text: "only the edits that break this one", isRepeatable: true },
    sample: { value: "N", text: "only so many of them, drawn by chance" },
    seed: { value: "N", text: "below 2147483648; decides which are drawn (default: by the clock)" },
    workers: { value: "N", text: "so many at once, each in a copy of its own (default: 2)" },
    json: JSON_OPTION,
  },
  examples: [
    ["", "all of them: some minutes"],
    ["--sample 30 --seed 1", "thirty of them"],
    ["--row C24 --row B3", "those of two requirements"],
  ],
  exits: "0 every edit was noticed, 1 one was not, or its trial says nothing",
};

export type PeerOption = "identity" | "create" | "udp" | "tcp" | "host" | "sets" | "compat";
export const PEER: Tool<PeerOption> = {
  name: "peer",
  purpose:
    "A bare telehash v3 peer, to try other implementations against: links, channels and messages by lines of JSON, nothing of mail. It approves everybody. docs/interop.md",
  options: {
    identity: { value: "FILE", text: "the identity, as below" },
    create: { text: "make one in FILE if there is none, with a key of each of --sets (default: 3a)" },
    udp: { value: "PORT", text: "listen there, 0 for any; a taken one ends the program (default: no UDP)" },
    tcp: { value: "PORT", text: "the same for TCP" },
    host: { value: "IP", text: "listen on this address only" },
    sets: { value: "1a,2a,3a", text: "use these cipher sets (default: all that the identity has a secret for)" },
    compat: { text: "talk to old peers over TCP: no cloak towards who has not used one" },
  },
  more: `Identity: {"hashname": "", "keys": {"3a": ""}, "secrets": {"3a": ""}}. Keys and
secrets are in base32; the hashname is that of the keys.

Commands, one JSON object per line of stdin, {"cmd": "link", ...}. Each is
answered by one event, with its "id" if it has one. Bytes are hex:
  command  members                              answer
  link     json: {keys, paths}                  linked; up when there is a link
  chan     hashname, open: {type, ...}, body    chan: its number. With seq: 1 in
                                                open it is a reliable one
  send     chan, json, body, end                sent
  fail     chan, err                            failed
  encrypt  to: {keys}, inner                    encrypted: outer
  decrypt  from: {keys}, outer                  decrypted: inner; or refused
  quit                                          none: the program ends, as it
                                                does with its stdin

Events, one JSON object per line of stdout, {"ev": "up", ...}:
  event      members                            when
  listening  udp, tcp, hashname                 once it is ready
  up         hashname, path                     a link is there
  renewed    hashname                           the other started anew
  down       hashname, why                      a link is gone
  packet     hashname, chan, json, body         one came on a channel
  closed     hashname, chan, err                a channel is over
  error      why                                a command cannot be done,
                                                or the program not start
  trouble    why                                a socket complains

A channel of type "echo" that another opens gets back what it sends.`,
  examples: [
    ["--identity a.json --create --udp 42000", "a peer; the first line says its hashname"],
    ["--identity b.json --create --udp 0 --tcp 0", "another one, on ports that are free"],
  ],
  exits: "0 it was told to end, 1 it cannot start",
};

export const VECTORS: Tool<"json"> = {
  name: "vectors",
  purpose: "Checks this implementation against files of vectors, of any origin.",
  operands: "DIR",
  options: { json: JSON_OPTION },
  more: "DIR has folders telehash/, openbazaar/ and wycheproof/, or some of them, with\nJSON files in the formats of those projects. Unsupported cases are counted.",
  examples: [["vectors", "those of this repository"]],
  exits: "0 all that is supported passed, 1 some failed",
};

export type WorldOption =
  | "seed"
  | "seeds"
  | "peers"
  | "caches"
  | "days"
  | "evil"
  | "loss"
  | "real"
  | "forget-save"
  | "minutes"
  | "from"
  | "json";
export const WORLD: Tool<WorldOption> = {
  name: "world",
  purpose:
    "Simulated worlds: peers that sleep, crash and restart, caches that lie, packets that are lost and doubled. Each is judged by what Restante promises, and the same seed gives the same world.",
  options: {
    seed: { value: "N", text: "one world, told in full (default: 1)" },
    seeds: { value: "FIRST-LAST", text: "many worlds, summed up" },
    peers: { value: "N", text: "2 to 50 (default: 4)" },
    caches: { value: "N", text: "1 to 10 (default: 2)" },
    evil: { value: "N", text: "caches that drop, lie, replay, reorder, delay or answer late, 0 to 6 (default: 0)" },
    days: { value: "N", text: "1 to 365 (default: 5)" },
    loss: { value: "P", text: "the share of packets that is lost, 0 to 0.9 (default: 0.1)" },
    real: { text: "cipher set 3a in every world, not in each tenth" },
    "forget-save": { value: "PREFIX", text: "a planted bug: the first save of a key that starts so is forgotten" },
    minutes: {
      value: "N",
      text: "so long, from the recorded seed on, of all sizes; adds to packages/lab/results/worlds.json",
    },
    from: { value: "SEED", text: "with --minutes: where to begin instead" },
    json: JSON_OPTION,
  },
  examples: [
    ["--seed 7 --peers 6 --days 7 --loss 0.3", "a bad week for six"],
    ["--seeds 1000-1999 --json", "a thousand worlds"],
    ["--minutes 480", "a night of them"],
    ["--seed 100 --peers 3 --days 3 --forget-save inbox/", "a bug that must be found"],
  ],
  exits: "0 every promise was kept, 1 one was broken",
};
