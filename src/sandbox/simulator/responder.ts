/** One request to `/v1`, from the key it carries to the answer, with whatever goes wrong on the way. */
import type { IncomingMessage } from 'node:http';
import type { AccountRoom } from './account-room.js';
import { checkApiVersion } from './api-version.js';
import { catalogObject } from './catalog.js';
import type { ConnectedAccounts } from './connected-accounts.js';
import { ApiError, unrecognisedUrl } from './errors.js';
import type { FaultRule, Faults } from './faults.js';
import type { Answer } from './http-server.js';
import { isJsonObject, type JsonObject } from './json.js';
import { checkPermission, type Keys } from './keys.js';
import { parseQuery } from './query.js';
import type { Random } from './random.js';
import type { RateLimitReason } from './rate-limits.js';
import { type Match, matchPath } from './routes.js';
import type { RequestKind } from './stats.js';

export interface Responder {
  /** What kind of request this is, and the endpoint that limiters count it for. */
  classify(path: string): { readonly kind: RequestKind; readonly endpoint: string; readonly match?: Match };
  respond(request: IncomingMessage, path: string, search: string, match: Match | undefined): Answer;
  rateLimited(reason: RateLimitReason | undefined, retryAfterSeconds?: number): Answer;
}

export interface ResponderContext {
  readonly keys: Keys;
  readonly own: AccountRoom;
  readonly connected: Pick<ConnectedAccounts, 'roomOf'>;
  readonly faults: Faults;
  readonly random: Random;
  readonly apiVersion: string;
}

const JSON_TYPE = { 'Content-Type': 'application/json' };
const EMPTY_PAGE = '{"object":"list","data":[],';

export function createResponder(context: ResponderContext): Responder {
  const { keys, own, connected, faults, random } = context;
  const { account } = own;

  const ownAccount = (): string =>
    JSON.stringify({
      id: account,
      object: 'account',
      business_profile: { name: 'Simulated account' },
      charges_enabled: true,
      country: 'US',
      default_currency: 'usd',
      details_submitted: true,
      payouts_enabled: true,
      type: 'standard',
    });

  /** An account shows itself as its platform sees it. */
  const connectedAccount = (id: string): string => own.store.get('account', id)?.json ?? '{}';

  /** Whose objects are asked for: with one answer for an account that is none and for one that is not connected. */
  const roomFor = (asked: string | undefined): AccountRoom => {
    const room = asked === undefined || asked === account ? own : connected.roomOf(asked);
    if (room !== undefined) return room;
    throw new ApiError(
      403,
      `The provided key does not have access to account '${asked}' (or that account does not exist). Application access may have been revoked.`,
      { code: 'account_invalid' },
    );
  };

  const read = (
    request: IncomingMessage,
    path: string,
    search: string,
    match: Match | undefined,
  ): string | Buffer => {
    const key = keys.authenticate(request.headers.authorization);
    const version = checkApiVersion(headerOf(request, 'stripe-version') ?? context.apiVersion);
    const room = roomFor(headerOf(request, 'stripe-account'));
    if (request.method !== 'GET') {
      throw new ApiError(
        405,
        `${request.method} ${path} is not possible here: this simulator is read-only over /v1, and its objects are changed through its own interface.`,
      );
    }
    if (path === '/v1/account' || path === `/v1/accounts/${room.account}`) {
      return room === own ? ownAccount() : connectedAccount(room.account);
    }
    if (match === undefined) throw unrecognisedUrl(request.method, path);
    const [object = ''] = match.route.objects;
    checkPermission(key, catalogObject(object).rakPermission, room.account);
    const body = room.reading.read(match, parseQuery(search), version);
    return path === '/v1/events' ? damaged(body, path) : body;
  };

  /** The events of a page, one of which may have lost its object. */
  const damaged = (body: Buffer, path: string): string | Buffer => {
    if (body.toString('latin1', 0, EMPTY_PAGE.length) === EMPTY_PAGE) return body;
    const fault = faults.take(path, true);
    if (fault === undefined) return body;
    const page = JSON.parse(body.toString('utf8')) as { data: JsonObject[] };
    const { data } = random.pick(page.data);
    if (isJsonObject(data)) {
      if (fault.kind === 'event_without_object') delete data.object;
      else data.object = null;
    }
    return JSON.stringify(page);
  };

  const rateLimited = (reason: RateLimitReason | undefined, retryAfterSeconds?: number): Answer => {
    const headers: Record<string, string> = { ...JSON_TYPE };
    if (reason !== undefined) headers['Stripe-Rate-Limited-Reason'] = reason;
    if (retryAfterSeconds !== undefined) headers['Retry-After'] = String(retryAfterSeconds);
    const error =
      reason === undefined
        ? new ApiError(429, 'This object is in use by another request right now. Try again in a moment.', {
            code: 'lock_timeout',
          })
        : new ApiError(429, `Too many requests (${reason}). Slow down and try again.`, {
            code: 'rate_limit',
          });
    return { status: 429, body: error.body(), headers };
  };

  const faulty = (fault: FaultRule): Answer | undefined => {
    switch (fault.kind) {
      case 'rate_limit':
        return rateLimited(fault.reason ?? 'global-rate', fault.retryAfterSeconds);
      case 'lock_timeout':
        return rateLimited(undefined, fault.retryAfterSeconds);
      case 'server_error': {
        const status = fault.status ?? 500;
        const error = new ApiError(status, 'An unknown error occurred on the side of Stripe.', {
          type: 'api_error',
        });
        return { status, body: error.body(), headers: JSON_TYPE };
      }
      case 'bad_gateway':
        return {
          status: 502,
          body: '<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>',
          headers: { 'Content-Type': 'text/html' },
        };
      case 'not_json':
        return {
          status: 200,
          body: '<!doctype html><title>Just a moment</title>',
          headers: { 'Content-Type': 'text/html' },
        };
      case 'cut_before_headers':
        return { status: 200, body: '', cut: 'before_headers' };
      default:
        return undefined;
    }
  };

  return {
    rateLimited,
    classify(path) {
      if (path === '/v1/events') return { kind: 'events', endpoint: 'GET /v1/events', ...matched(path) };
      const match = path.startsWith('/v1/') ? matchPath(path) : undefined;
      if (match === undefined) return { kind: 'other', endpoint: path };
      return { kind: match.route.kind, endpoint: `GET ${match.route.path}`, match };
    },
    respond(request, path, search, match) {
      const headers: Record<string, string> = {
        ...JSON_TYPE,
        'Stripe-Version': headerOf(request, 'stripe-version') ?? context.apiVersion,
      };
      try {
        keys.authenticate(request.headers.authorization);
        const fault = faults.take(path);
        const broken = fault === undefined ? undefined : faulty(fault);
        if (broken !== undefined) return broken;
        const body = read(request, path, search, match);
        return {
          status: 200,
          body,
          headers,
          ...(fault?.kind === 'cut_body' ? { cut: 'body' as const } : {}),
        };
      } catch (error) {
        if (!(error instanceof ApiError)) {
          // A bug of the simulator, which must not pass for one of Stripe's moods.
          console.error('The Stripe simulator failed to answer %s %s:', request.method, path, error);
          return {
            status: 500,
            body: new ApiError(500, 'The simulator itself failed; see its output.').body(),
            headers,
          };
        }
        return { status: error.status, body: error.body(), headers: { ...headers, ...error.headers } };
      }
    },
  };
}

function matched(path: string): { match?: Match } {
  const match = matchPath(path);
  return match === undefined ? {} : { match };
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}
