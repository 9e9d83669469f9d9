/** A WebDAV server for tests, as people rent one: anybody reads, and who has a password writes. Debian's lighttpd. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "./ports.ts";

export interface WebDav {
  /** Of the folder `box`, with a slash at its end. */
  readonly url: string;
  /** Where that folder is. */
  readonly box: string;
  stop(): Promise<void>;
}

/** Whether there is a program to start. */
export function hasWebDav(): boolean {
  return spawnSync(PROGRAM, ["-v"]).status === 0;
}

/** Starts one that keeps everything in `dir`, which is there. Resolves when it accepts connections; rejects when it ends before. */
export async function startWebDav(dir: string, user: string, password: string): Promise<WebDav> {
  const box = join(dir, "webdav", "box");
  await mkdir(box, { recursive: true });
  const port = await freePort();
  const [config, users] = [join(dir, "lighttpd.conf"), join(dir, "users")];
  await writeFile(users, `${user}:${password}\n`);
  await writeFile(config, settings(join(dir, "webdav"), port, users));
  const server = spawn(PROGRAM, ["-D", "-f", config], { stdio: "ignore" });
  server.once("error", () => {}); // it has no pid then
  while (!(await isOpen(port))) {
    if (server.pid === undefined || server.exitCode !== null) throw new Error(`${PROGRAM} ended`);
    await pause(20);
  }
  return {
    url: `http://127.0.0.1:${port}/box/`,
    box,
    stop: async () => {
      const gone = once(server, "exit");
      server.kill();
      await gone;
    },
  };
}

function settings(root: string, port: number, users: string): string {
  return `
server.document-root = "${root}"
server.port = ${port}
server.bind = "127.0.0.1"
server.modules = ("mod_auth", "mod_authn_file", "mod_webdav")
auth.backend = "plain"
auth.backend.plain.userfile = "${users}"
webdav.activate = "enable"
$HTTP["request-method"] !~ "^(GET|HEAD)$" {
  auth.require = ("" => ("method" => "basic", "realm" => "box", "require" => "valid-user"))
}
`;
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

const PROGRAM = "/usr/sbin/lighttpd";
