import type { EnvironmentSettings } from '../environment.js';
import { development } from './development.js';
import { production } from './production.js';
import { staging } from './staging.js';

export { repository } from './repository.js';

/** In the order in which a change passes through them. */
export const environments: readonly EnvironmentSettings[] = [development, staging, production];
