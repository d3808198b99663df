/** The server side of RFC 6455, as far as the scripted hub needs it: whole binary messages, and the close frame. */
import { createHash } from "node:crypto";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export function accept(request, socket, onMessage, onClose) {
  const key = createHash("sha1").update(request.headers["sec-websocket-key"] + GUID).digest("base64");
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`);
  let received = Buffer.alloc(0);
  socket.on("data", (part) => {
    received = Buffer.concat([received, part]);
    for (;;) {
      if (received.length < 2) return;
      let length = received[1] & 0x7f;
      let at = 2;
      if (length === 126) (length = received.readUInt16BE(2)), (at = 4);
      else if (length === 127) (length = Number(received.readBigUInt64BE(2))), (at = 10);
      if (received.length < at + 4 + length) return;
      const mask = received.subarray(at, at + 4);
      const body = Buffer.from(received.subarray(at + 4, at + 4 + length).map((byte, index) => byte ^ mask[index & 3]));
      const opcode = received[0] & 15;
      received = received.subarray(at + 4 + length);
      if (opcode === 2) onMessage(body);
      else if (opcode === 8) return socket.end();
    }
  });
  socket.on("close", onClose);
  socket.on("error", () => socket.destroy());
  return (body) => {
    const head = body.length < 126 ? Buffer.from([0x82, body.length]) : body.length < 65536 ? Buffer.from([0x82, 126, body.length >> 8, body.length & 255]) : Buffer.alloc(10);
    if (head.length === 10) {
      head[0] = 0x82;
      head[1] = 127;
      head.writeBigUInt64BE(BigInt(body.length), 2);
    }
    socket.write(Buffer.concat([head, body]));
  };
}
