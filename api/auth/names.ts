export { canonicalName } from '../../shared/identity/person-name.js';
