export { MemoryNetwork, type Transport, type TransportEvents, type TransportPath } from "./transport.ts";
