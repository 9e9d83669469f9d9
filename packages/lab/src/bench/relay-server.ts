/** The server of relay.ts: passes on what its first connection sends to its second, and answers each. Nothing else. */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { RELAYED } from "./relay.ts";

const connections: Socket[] = [];
const server = createServer((socket) => {
  const isSender = connections.push(socket) === 1;
  const [answer, message] = [new Uint8Array(RELAYED.answer), new Uint8Array(RELAYED.message)];
  socket.setNoDelay(true);
  socket.on("error", () => {}); // the bench is over
  socket.on("data", () => {
    socket.write(answer);
    if (isSender) connections[1]?.write(message);
  });
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`));
