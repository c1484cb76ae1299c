/** What has to be undone at the end, in reverse order of what was done. */
export interface UndoStack {
  add(undo: () => Promise<void> | void): void;
  /** Undoes everything, also where a part of it fails; then throws the first failure. */
  run(): Promise<void>;
}

export function createUndoStack(): UndoStack {
  const undos: (() => Promise<void> | void)[] = [];
  return {
    add: (undo) => void undos.push(undo),
    async run() {
      const failures: unknown[] = [];
      for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
        try {
          await undo();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}
