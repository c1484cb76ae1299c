import { isGrpcServiceError, NamespaceNotFoundError, ServiceError } from '@temporalio/client';

/** gRPC's status codes that a person can do something about: what it means, and what to do. */
const REMEDIES: Readonly<Record<number, string>> = {
  4: 'does not answer in time. Try again, and look at its load if this goes on',
  7: 'denies permission. Check TEMPORAL_API_KEY or the client certificate, and what they may do in the namespace',
  8: 'has reached a limit of its own. Try again in a moment',
  12: 'does not know what it was asked. Check that TEMPORAL_ADDRESS names a Temporal server, and that it is not too old',
  14: 'cannot be reached. See whether it runs, then try again',
  16: 'does not let us in. Check TEMPORAL_API_KEY or the client certificate',
};

/** One line on an error of the Temporal service, or null where the error is none of its. */
export function temporalFailureText(error: unknown): string | null {
  if (error instanceof NamespaceNotFoundError) return unknownNamespace(error.namespace);
  const cause = error instanceof ServiceError ? error.cause : error;
  if (!isGrpcServiceError(cause)) {
    return error instanceof ServiceError ? `Temporal did not do what was asked (${error.message}).` : null;
  }
  const namespace = /^Namespace (\S+) is not found/.exec(cause.details)?.[1];
  if (namespace !== undefined) return unknownNamespace(namespace);
  const remedy = REMEDIES[cause.code];
  return remedy === undefined
    ? `Temporal refused what was asked (${cause.details || `gRPC status ${cause.code}`}).`
    : `Temporal ${remedy}.`;
}

function unknownNamespace(name: string): string {
  return (
    `Temporal has no namespace ${name}. Create it (temporal operator namespace create ${name}), ` +
    'or name another one with TEMPORAL_NAMESPACE.'
  );
}
