import { createServer } from 'node:net';

/** Somebody else listens on the port that a server of the sandbox was to have. */
export class PortInUseError extends Error {
  override readonly name = 'PortInUseError';

  constructor(
    readonly port: number,
    readonly server: string,
  ) {
    super(
      `${server} cannot listen on 127.0.0.1:${port}: another program has that port. ` +
        `Stop that program (find it with: lsof -i :${port}), or choose another port.`,
    );
  }
}

/** Listens on 127.0.0.1 for a moment and tells which port it got; 0 asks the system for a free one. */
function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      server.close(() => resolve(bound));
    });
  });
}

/** A port of 127.0.0.1 on which nobody listens now. Whoever uses it must still expect to lose the race for it. */
export function freePort(): Promise<number> {
  return listenOnce(0);
}

/**
 * Resolves when `port` can be listened on; `server` is its name in the error.
 * @throws PortInUseError, or an error that says why this user may not listen there.
 */
export async function assertPortFree(port: number, server: string): Promise<void> {
  try {
    await listenOnce(port);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE') throw new PortInUseError(port, server);
    if (code === 'EACCES') {
      throw new Error(
        `${server} may not listen on 127.0.0.1:${port}: the system reserves that port. Choose one above 1023.`,
        { cause },
      );
    }
    throw cause;
  }
}
