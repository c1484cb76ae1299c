/** What the package exports: all that a file of handlers needs. */
export {
  defineHandlers,
  type EventOf,
  type EventTypeName,
  type Handler,
  type HandlerContext,
  type HandlerRow,
  type Handlers,
  type HandlersOf,
  type HandlerTransaction,
  type ObjectOf,
} from './define-handlers.js';
