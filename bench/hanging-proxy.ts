/** Stands before the simulator, and never answers whoever comes with one certain key. */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HangingProxy {
  readonly url: string;
  close(): Promise<void>;
}

export async function startHangingProxy(target: string, hangingKey: string): Promise<HangingProxy> {
  const { hostname, port } = new URL(target);
  const server = createServer((incoming, outgoing) => {
    if (incoming.headers.authorization?.includes(hangingKey)) return;
    const { method, url: path, headers } = incoming;
    const forwarded = request({ hostname, port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
