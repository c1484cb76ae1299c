import { Client } from '@temporalio/client';

/** What a request to the server says of a schedule. */
interface Sent {
  readonly scheduleId?: string;
}

/** The same server, which denies some requests, as one does that grants no permission for them. */
export function clientThatIsRefused(
  client: Client,
  method: RegExp,
  request: (sent: Sent) => boolean = () => true,
): Client {
  const { connection } = client;
  const workflowService = new Proxy(connection.workflowService, {
    get(target, property) {
      const call = Reflect.get(target, property) as unknown;
      if (typeof call !== 'function' || !method.test(String(property))) return call;
      return (sent: Sent) => {
        if (!request(sent)) return (call as (sent: Sent) => Promise<unknown>).call(target, sent);
        const denied = new Error('7 PERMISSION_DENIED: denied');
        return Promise.reject(
          Object.assign(denied, { code: 7, details: 'denied', metadata: { get: () => [] } }),
        );
      };
    },
  });
  const refused = new Proxy(connection, {
    get(target, property) {
      if (property === 'workflowService') return workflowService;
      const value = Reflect.get(target, property) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return new Client({ connection: refused });
}
