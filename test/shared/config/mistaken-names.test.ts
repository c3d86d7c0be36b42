import test from 'ava';
import { findMistakenNames } from '../../../shared/config/mistaken-names.js';
import { variableNames } from '../../../shared/config/variables.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

for (const [how, name, meant] of [
  ['in the singular', 'OPERATOR_EMAIL', 'OPERATOR_EMAILS'],
  ['in the plural', 'TRUST_PROXIES', 'TRUST_PROXY'],
  ['in the plural', 'SECRET_KEYS', 'SECRET_KEY'],
  ['by its beginning', 'SES_TOPIC', 'SES_TOPIC_ARN'],
  ['by its beginning', 'MAIL_USER', 'MAIL_USERNAME'],
  ['with a letter too few', 'OPERATR_EMAILS', 'OPERATOR_EMAILS'],
  ['with a letter too many', 'BCRYPTT_COST', 'BCRYPT_COST'],
  ['with another letter', 'REDIS_URI', 'REDIS_URL'],
  ['with two letters exchanged', 'LOG_LEVLE', 'LOG_LEVEL'],
  ['without its separator', 'LOGLEVEL', 'LOG_LEVEL'],
  ['in lower case', 'secret_key', 'SECRET_KEY'],
] as const) {
  test(`a variable that is named ${how} is found: ${name}`, (t) => {
    t.deepEqual(findMistakenNames({ PATH: '/bin', [name]: 'canary' }), [`${name} (${meant}?)`]);
    t.deepEqual(findMistakenNames({ [name]: '' }), [], 'an empty one counts as unset');
  });
}

test('neither our own names nor those of others are taken for mistakes', (t) => {
  const others = [
    ...['PATH', 'HOME', 'USER', 'LOGNAME', 'HOSTNAME', 'MAIL', 'MAILTO', 'LANG', 'POST', 'HOSTS'],
    ...['NODE_OPTIONS', 'NODE_VERSION', 'NODE_PATH', 'NODE_EXTRA_CA_CERTS', 'NO_COLOR'],
    ...['AWS_PROFILE', 'AWS_DEFAULT_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
    ...[
      'AWS_SESSION_TOKEN',
      'AWS_EXECUTION_ENV',
      'AWS_ENDPOINT_URL_S3',
      'ECS_CONTAINER_METADATA_URI',
    ],
    ...['POSTGRES_PASSWORD_FILE', 'POSTGRES_INITDB_ARGS', 'PGHOST', 'REDIS_PORT', 'REDIS_HOST'],
    ...['MAIL_PORT_25_TCP', 'REDIS_PORT_6379_TCP', 'SMTP_HOST', 'RDS_HOSTNAME', 'API_PORT'],
    ...['XDG_DATA_HOME', 'XDG_CONFIG_HOME', 'XDG_CACHE_HOME', 'XDG_RUNTIME_DIR', 'TMPDIR'],
    ...['OTEL_SERVICE_NAME', 'OTEL_EXPORTER_OTLP_HEADERS', 'DATABASE_API_ROLE', 'DEV_DATA_DIR'],
  ];
  const env = Object.fromEntries([...variableNames, ...others].map((name) => [name, 'x']));
  t.deepEqual(findMistakenNames(env), []);
});
