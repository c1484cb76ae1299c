/** POSTs with a deadline, over connections that are kept while they are in use. */
import { type ClientRequest, Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

export interface PostResult {
  /** Null when no whole answer came. */
  readonly status: number | null;
  /** Why not. */
  readonly problem?: string;
}

export interface Poster {
  /** Never rejects. Redirects are not followed: to Stripe they are failures like any other answer that is no 2xx. */
  post(
    url: string,
    headers: Readonly<Record<string, string>>,
    body: Buffer,
    timeoutSeconds: number,
  ): Promise<PostResult>;
  /** Breaks off what is under way, and resolves when the last socket is gone. */
  close(): Promise<void>;
}

/**
 * A connection is used again within this time only. Receivers close idle ones after some seconds (Node's servers after
 * five), and an attempt that meets such a close would pass for a failure of the receiver.
 */
const IDLE_MS = 1000;

export function createPoster(): Poster {
  const agents = {
    'http:': new HttpAgent({ keepAlive: true, timeout: IDLE_MS }),
    'https:': new HttpsAgent({ keepAlive: true, timeout: IDLE_MS }),
  };
  const underWay = new Map<ClientRequest, Promise<PostResult>>();

  return {
    post(url, headers, body, timeoutSeconds) {
      const isSecure = url.startsWith('https:');
      const request = (isSecure ? httpsRequest : httpRequest)(url, {
        method: 'POST',
        agent: agents[isSecure ? 'https:' : 'http:'],
        headers: { ...headers, 'Content-Length': String(body.length) },
      });
      const result = new Promise<PostResult>((resolve) => {
        let problem: Error | undefined;
        let status: number | null = null;
        const deadline = setTimeout(
          () => request.destroy(new Error(`no whole answer within ${timeoutSeconds} s`)),
          timeoutSeconds * 1000,
        );
        request.on('error', (error) => {
          problem ??= error;
        });
        request.on('response', (response) => {
          response.on('error', (error) => {
            problem ??= error;
          });
          response.on('end', () => {
            status = response.statusCode ?? null;
          });
          response.resume();
        });
        request.on('close', () => {
          clearTimeout(deadline);
          underWay.delete(request);
          resolve(
            status === null
              ? {
                  status,
                  problem: problem?.message ?? 'the connection was closed before the answer was whole',
                }
              : { status },
          );
        });
        request.end(body);
      });
      underWay.set(request, result);
      return result;
    },
    async close() {
      const ending = [...underWay.values()];
      for (const request of underWay.keys()) request.destroy(new Error('the simulator is closing'));
      for (const agent of Object.values(agents)) agent.destroy();
      await Promise.all(ending);
    },
  };
}
