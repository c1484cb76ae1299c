import { SANDBOX_DIRECTORY, withSandbox } from './sandbox-file.js';

/** The environment as it was given. No other place in the commands reads it. */
export function givenEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}

/** What a command works with: the environment, completed by a running sandbox of this folder. */
export function commandEnvironment(): NodeJS.ProcessEnv {
  return withSandbox(givenEnvironment(), SANDBOX_DIRECTORY);
}
