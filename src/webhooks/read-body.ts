import type { IncomingMessage } from 'node:http';

/**
 * Bytes that a delivery may have. The largest events carry an object with a cut list of ten items and its previous
 * attributes, each with metadata of at most 50 values of 500 characters: a few hundred kB.
 */
export const BODY_LIMIT = 1024 * 1024;

/** Bytes of all bodies that are held at a time, so that many large ones at once do not add up. */
const HELD_LIMIT = 32 * 1024 * 1024;

export interface BodyReader {
  /**
   * The body as it came; or why there is none: it is too large, the memory for bodies is taken, or the connection
   * broke off. A body that is refused is not kept. `release` gives its room back, and has to be called in any case.
   */
  read(incoming: IncomingMessage): Promise<Body>;
}

export interface Body {
  readonly bytes: Buffer | 'too large' | 'no room' | 'broken off';
  release(): void;
}

export function createBodyReader(): BodyReader {
  let held = 0;
  return {
    async read(incoming) {
      let own = 0;
      const release = () => {
        held -= own;
        own = 0;
      };
      const take = (length: number): Buffer | 'too large' | 'no room' | null => {
        if (own + length > BODY_LIMIT) return 'too large';
        if (held + length > HELD_LIMIT) return 'no room';
        own += length;
        held += length;
        return null;
      };
      // A length that is told is believed only where it is too large already: the bytes decide.
      const told = Number(incoming.headers['content-length'] ?? 0);
      const bytes = told > BODY_LIMIT ? 'too large' : await readBytes(incoming, take);
      if (typeof bytes === 'string') release();
      return { bytes, release };
    },
  };
}

function readBytes(
  incoming: IncomingMessage,
  take: (length: number) => Body['bytes'] | null,
): Promise<Body['bytes']> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const end = (bytes: Body['bytes']) => {
      incoming.off('data', onData).off('end', onEnd).off('close', onBroken).off('error', onBroken);
      // The server throws the rest away, and after a moment the connection with it. An error is no news then.
      incoming.on('error', () => undefined);
      resolve(bytes);
    };
    const onData = (chunk: Buffer) => {
      const refused = take(chunk.length);
      if (refused === null) chunks.push(chunk);
      else end(refused);
    };
    const onEnd = () => end(Buffer.concat(chunks));
    const onBroken = () => end('broken off');
    incoming.on('data', onData).on('end', onEnd).on('close', onBroken).on('error', onBroken);
  });
}
