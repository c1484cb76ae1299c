import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { ANSWERS, RETRY_AFTER_SECONDS } from './outcomes.js';
import type { Receive } from './receive.js';

export interface RouteOptions {
  readonly receive: Receive;
  /** Whether PostgreSQL answers. */
  readonly isHealthy: () => Promise<boolean>;
  /** Whether connections are to end with the answer. */
  readonly isClosing: () => boolean;
}

type Env = { Bindings: HttpBindings };

/** Every answer is a few words about the request, and nothing that anybody sent or stored. */
export function createRoutes({ receive, isHealthy, isClosing }: RouteOptions): Hono<Env> {
  const app = new Hono<Env>();

  app.use(async (context, next) => {
    await next();
    if (isClosing()) context.header('connection', 'close');
  });

  app.post('/webhooks/:alias', async (context) => {
    const { status, text } = ANSWERS[await receive(context.req.param('alias'), context.env.incoming)];
    if (status === 503) return unavailable(context, text);
    // What is left of the body is not read, so the connection has no further use.
    if (status === 413) context.header('connection', 'close');
    return context.text(text, status);
  });
  app.all('/webhooks/:alias', (context) => otherMethod(context, 'POST'));

  app.get('/live', (context) => context.json({ status: 'ok' }));
  app.get('/health', async (context) =>
    (await isHealthy())
      ? context.json({ status: 'ok' })
      : context.json({ status: 'PostgreSQL does not answer' }, 503, {
          'Retry-After': `${RETRY_AFTER_SECONDS}`,
        }),
  );
  app.all('/live', (context) => otherMethod(context, 'GET, HEAD'));
  app.all('/health', (context) => otherMethod(context, 'GET, HEAD'));

  app.notFound((context) => context.text('nothing is here: deliver to /webhooks/ALIAS', 404));
  app.onError((_, context) => unavailable(context, ANSWERS.unavailable.text));
  return app;
}

function unavailable(context: Context<Env>, text: string): Response {
  return context.text(text, 503, { 'Retry-After': `${RETRY_AFTER_SECONDS}` });
}

function otherMethod(context: Context<Env>, allowed: string): Response {
  return context.text(`this takes ${allowed} only`, 405, { Allow: allowed });
}
