/** A picture of a recorded run of `npm run bench peers`: bars, SVG, legible on light and dark pages. */

/** What a recorded run has, as far as the picture shows it. */
export interface Recorded {
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly node: string;
    readonly servers: Readonly<Record<string, string>>;
  };
  readonly results: Readonly<Record<string, { readonly value: number }>>;
}

/** SVG text. The same run gives the same text. */
export function plotPeers({ machine, results }: Recorded): string {
  const rows = [
    { prefix: "cache", label: "Restante: encrypted" },
    ...Object.entries(machine.servers).map(([name, version]) => ({
      prefix: `peer.${name}`,
      label: `${name} ${version}`,
    })),
  ];
  const figureOf = (prefix: string, figure: string): number | undefined => results[`${prefix}.${figure}`]?.value;
  const panelHeight = PANEL_HEAD + rows.length * ROW + PANEL_GAP;
  const parts: string[] = [];
  for (const [n, { figure, title }] of PANELS.entries()) {
    const top = TOP + n * panelHeight;
    parts.push(text(MARGIN, top + 14, title, "title"));
    const values = rows.map(({ prefix }) => figureOf(prefix, figure));
    const most = Math.max(...values.map((value) => value ?? 0));
    for (const [i, { label, prefix }] of rows.entries()) {
      const value = values[i];
      const y = top + PANEL_HEAD + i * ROW;
      parts.push(text(BAR_START - 8, y + 13, label, "label"));
      const width = value === undefined ? 0 : Math.max(1, Math.round(barShare(value, most) * BAR_WIDTH));
      parts.push(
        `<rect class="${prefix === "cache" ? "ours" : "theirs"}" x="${BAR_START}" y="${y + 2}" width="${width}" height="${ROW - 6}" rx="2"/>`,
      );
      parts.push(text(BAR_START + width + 6, y + 13, value === undefined ? "not measured" : short(value), "value"));
    }
  }
  const end = TOP + PANELS.length * panelHeight;
  const caption = wrap(
    `CPU time of the server (user and system, all threads) in ms per 1000 messages of 256 bytes, on a square-root scale; connecting is part of a drain. \
${machine.cpu}, ${machine.cores} cores, Node ${machine.node.replace(/^v/, "")}. The load comes from another process, over TCP on loopback. \
Restante: handshakes, and each packet encrypted and authenticated on its link; it cannot read what it keeps. The others: plain text, no TLS, no end-to-end encryption. \
All in memory, but prosody in files.`,
  );
  parts.push(...caption.map((line, i) => text(MARGIN, end + 6 + i * 16, line, "caption")));
  const height = end + caption.length * 16 + 8;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(summary(rows, figureOf))}">
<style>${STYLE}</style>
<rect class="page" width="100%" height="100%" rx="6"/>
${parts.join("\n")}
</svg>
`;
}

/** What those hear who do not see it. */
function summary(
  rows: readonly { prefix: string; label: string }[],
  figureOf: (prefix: string, figure: string) => number | undefined,
): string {
  const of = ({ prefix, label }: { prefix: string; label: string }): string =>
    `${label}: ${PANELS.map(({ figure, title }) => `${title} ${figureOf(prefix, figure) ?? "not measured"}`).join(", ")}`;
  return `CPU time in ms per 1000 messages. ${rows.map(of).join("; ")}`;
}

/** Some cost a hundred times what others do: by the root both can be seen. */
function barShare(value: number, most: number): number {
  return most === 0 ? 0 : Math.sqrt(value / most);
}

function short(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1);
}

function text(x: number, y: number, words: string, kind: string): string {
  return `<text class="${kind}" x="${x}" y="${y}">${escaped(words)}</text>`;
}

function wrap(words: string): string[] {
  const lines = [""];
  for (const word of words.split(" ")) {
    const line = lines.at(-1) ?? "";
    if (line.length + word.length < LINE) lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function escaped(words: string): string {
  return words.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");
}

const PANELS = [
  { figure: "deposit.cpu_ms_per_1k", title: "deposit" },
  { figure: "drain.cpu_ms_per_1k", title: "drain: 16 recipients at a time, 200 messages each" },
  { figure: "drain_one_by_one.cpu_ms_per_1k", title: "drain: one recipient after the other" },
  { figure: "live.cpu_ms_per_1k", title: "live: one message after the other" },
];
const WIDTH = 720;
const LINE = 112; // characters of a caption
const MARGIN = 16;
const TOP = 12;
const PANEL_HEAD = 22;
const PANEL_GAP = 14;
const ROW = 20;
const BAR_START = 170;
const BAR_WIDTH = 470;
const STYLE = [
  "text{font-family:system-ui,sans-serif;font-size:12px;fill:#24292f}",
  ".title{font-weight:600;font-size:13px}",
  ".label{text-anchor:end}",
  ".caption{font-size:11px;fill:#57606a}",
  ".ours{fill:#0969da}.theirs{fill:#8c959f}",
  ".page{fill:#fff}", // its own: a page may be dark where the system is light
  "@media(prefers-color-scheme:dark){.page{fill:#0d1117}text{fill:#e6edf3}.caption{fill:#9198a1}.ours{fill:#4493f8}.theirs{fill:#6e7681}}",
].join("");
