/**
 * Stands before the simulator and passes on what comes, with the simulator's key in the place of any other. Once it is
 * told to, it refuses one key as revoked, and never answers whoever comes with another one.
 */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TroublingProxy {
  readonly url: string;
  makeTrouble(): void;
  close(): Promise<void>;
}

interface Keys {
  /** The simulator's. */
  readonly apiKey: string;
  readonly revoked: string;
  readonly hanging: string;
}

const REFUSAL = JSON.stringify({
  error: { type: 'invalid_request_error', code: 'api_key_expired', message: 'Expired API Key provided.' },
});

export async function startTroublingProxy(target: string, keys: Keys): Promise<TroublingProxy> {
  const { hostname, port } = new URL(target);
  let isTroubling = false;
  const server = createServer((incoming, outgoing) => {
    const { authorization = '' } = incoming.headers;
    if (isTroubling && authorization.includes(keys.hanging)) return;
    if (isTroubling && authorization.includes(keys.revoked)) {
      outgoing.writeHead(401, { 'content-type': 'application/json' }).end(REFUSAL);
      return;
    }
    const { method, url: path } = incoming;
    const headers = { ...incoming.headers, authorization: `Bearer ${keys.apiKey}` };
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
    makeTrouble() {
      isTroubling = true;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
