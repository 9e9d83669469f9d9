/** `@restante/node`: what Node adds to `restante`: sockets, a store on disk, native cryptography, the daemon. */
export { type RedisBoxOptions, type RedisBoxStore, redisBoxStore } from "./cache/redis.ts";
export { type ConfigFile, parseConfig } from "./config/file.ts";
export { loadBackend, loadWasm } from "./crypto/best.ts";
export { loadNative } from "./crypto/native.ts";
export {
  type CacheOptions,
  type Daemon,
  type DaemonOptions,
  type Household,
  type NetworkOptions,
  startCache,
  startDaemon,
  startHousehold,
} from "./daemon.ts";
export { type NodeResolverOptions, nodeResolver } from "./discovery.ts";
export { type Home, type HomePaths, homePaths, openHome } from "./home.ts";
export {
  type ArchiveOptions,
  type ArchiveSummary,
  type ExportOptions,
  exportHome,
  importHome,
} from "./identity.ts";
export { openFile, type SealedFileHead, type SealedFileOptions, sealFile } from "./sealed-file.ts";
export { type AskPassphrase, loadOrCreateIdentity, loadOrCreateKey, rewriteKey } from "./store/key.ts";
export { type DiskStore, type LevelStoreOptions, levelStore } from "./store/level.ts";
export type { ListenOptions } from "./transport/address.ts";
export { type TcpOptions, tcpTransport } from "./transport/tcp.ts";
export { udpTransport } from "./transport/udp.ts";
