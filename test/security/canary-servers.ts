import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import {
  openFirehoseEndpoint,
  type FirehoseEndpoint,
} from '../../dev/emulators/firehose/firehose-endpoint.js';
import type { Scope, TestContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { openSmtpServer, type SmtpAnswer, type TestSmtpServer } from '../helpers/smtp-server.js';
import type { Canaries } from './canaries.js';

/** An environment in which every secret is a canary. PostgreSQL and Redis get a role for it: else they would ask for none. */
export async function openSecretEnvironment(
  context: TestContext,
  scope: Scope,
  canaries: Canaries,
): Promise<Record<string, string>> {
  const { id } = context;
  const databasePassword = canaries.secret('the database password');
  const redisPassword = canaries.secret('the Redis password');
  await context.rows(`create role ${id} login superuser password '${databasePassword}'`);
  const redis = new Redis(context.redisUrl);
  await redis.call('ACL', 'SETUSER', id, 'on', `>${redisPassword}`, '~*', '&*', '+@all');
  scope.teardown(async () => {
    await redis.call('ACL', 'DELUSER', id);
    redis.disconnect();
    await context.rows(`reassign owned by ${id} to current_user`);
    await context.rows(`drop role ${id}`);
  });
  const as = (url: string, password: string): string =>
    Object.assign(new URL(url), { username: id, password }).href;
  return {
    LOG_LEVEL: 'trace',
    PASSWORD_PEPPER: canaries.secret('the pepper'),
    SECRET_KEY: canaries.secret('the signing secret'),
    SECRET_KEY_PREVIOUS: canaries.secret('an earlier signing secret'),
    DATABASE_URL: as(context.databaseUrl, databasePassword),
    REDIS_URL: as(context.redisUrl, redisPassword),
    MAIL_USERNAME: 'mailer',
    MAIL_PASSWORD: canaries.secret('the SMTP password'),
    AWS_SECRET: canaries.secret('the AWS secret'),
  };
}

/** A mail server of the test's own, that wants a password and repeats what it was given when it refuses it. */
export interface StubbornSmtp extends TestSmtpServer {
  answerWith(answer: 'take' | 'later' | 'never'): void;
  /** The token that was made last for the address, once so many mails with one have come. */
  tokenFor(email: string, count?: number): Promise<string>;
}

/** Opens it; every token that it reads is a canary from then on. */
export async function openStubbornSmtp(
  scope: Scope,
  wanted: string,
  canaries: Canaries,
): Promise<StubbornSmtp> {
  let answer: 'take' | 'later' | 'never' = 'take';
  const server = await openSmtpServer(scope, {
    onMail: ({ to, source }): SmtpAnswer => {
      for (const token of tokensIn(source)) canaries.watch('the token of a link', token);
      if (answer === 'take') return 'take';
      const [link = ''] = /https?:\/\/\S+token=\S+/.exec(unfolded(source)) ?? [];
      const said = `${to.join()} sent ${link} that is token=3D${tokensIn(source).join()}`;
      return answer === 'later' ? { code: 451, text: said } : { code: 554, text: said };
    },
    server: {
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: ({ password }, _session, done) =>
        password === wanted
          ? done(null, { user: 'mailer' })
          : done(
              Object.assign(new Error('Authentication Credentials Invalid'), { responseCode: 535 }),
            ),
    },
  });
  return {
    ...server,
    answerWith: (next) => void (answer = next),
    tokenFor: (email, count = 1) =>
      eventually(() => {
        const mails = server.taken.filter(({ to }) => to.includes(email));
        const tokens = mails.flatMap(({ source }) => tokensIn(source).slice(0, 1));
        // They sort by time, and mails may come in any order.
        return tokens.length >= count && tokens.toSorted().at(-1);
      }),
  };
}

/** Quoted-printable is undone as far as it hides a link. */
const unfolded = (source: string): string => source.replaceAll('=\r\n', '').replaceAll('=3D', '=');

const tokensIn = (source: string): string[] =>
  unfolded(source).match(/\bct_[0-9a-f]{32}_[\w-]{43}/g) ?? [];

/** An endpoint that the test may break: the shared one serves every file. */
export async function openFirehose(scope: Scope): Promise<FirehoseEndpoint> {
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-firehose-'));
  const endpoint = await openFirehoseEndpoint({ dataDir, port: 0, host: '127.0.0.1' });
  scope.teardown(async () => {
    await endpoint.close();
    await rm(dataDir, { recursive: true });
  });
  return endpoint;
}
