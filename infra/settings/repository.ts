import type { RepositorySettings } from '../environment.js';

/** Change this first: nothing can be deployed for a repository that is not yours. */
export const repository: RepositorySettings = { owner: 'example', name: 'rollcall' };
