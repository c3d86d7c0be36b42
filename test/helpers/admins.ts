import { randomBytes } from 'node:crypto';
import { deriveKeyRing } from '../../shared/crypto/keys.js';
import { deriveConfirmationToken } from '../../shared/identity/confirmation-token.js';
import type { ApiClient } from './api-client.js';
import type { TestContext } from './context.js';
import { SECRET_KEY } from './env.js';
import { createMailbox, tokenIn } from './mailbox.js';

/** Somebody who may register. */
export interface Applicant {
  readonly email: string;
  readonly name: string;
  readonly password: string;
}

/** What a login answers. */
export interface Login {
  readonly access_token: string;
  readonly token_type: string;
  readonly expires_in: number;
  readonly refresh_token: string;
  readonly refresh_expires_in: number;
  readonly admin: {
    readonly id: number;
    readonly email: string;
    readonly name: string;
    readonly role: string;
  };
}

/** A confirmed admin who has logged in. */
export interface TestAdmin extends Applicant {
  readonly id: number;
  readonly login: Login;
  /** Sends this admin's access token. */
  readonly client: ApiClient;
}

/** Makes admins through the API, the way people do. */
export interface AdminFactory {
  /** An address, a name and a password that nobody has had yet. */
  applicant(overrides?: Partial<Applicant>): Applicant;
  /** Registers; the address is not confirmed yet. */
  registerAdmin(overrides?: Partial<Applicant>): Promise<Applicant>;
  /** Registers, follows the link and logs in. */
  confirmedAdmin(overrides?: Partial<Applicant>): Promise<TestAdmin>;
  logIn(applicant: Pick<Applicant, 'email' | 'password'>): Promise<Login>;
}

/** Finds the token with which an applicant confirms an address. */
export type TokenSource = (email: string) => Promise<string>;

/**
 * Admins for the tests of one file. Where no worker runs the token is minted as a worker would; give `mailedToken` to
 * have it read from the mail instead.
 */
export function createAdmins(
  context: TestContext,
  client: ApiClient,
  tokenOf: TokenSource = mintedToken(context),
): AdminFactory {
  const applicant = (overrides: Partial<Applicant> = {}): Applicant => ({
    email: context.uniqueAddress('admin'),
    name: `Admin ${randomBytes(5).toString('hex')}`,
    password: `a long password ${randomBytes(6).toString('hex')}`,
    ...overrides,
  });
  const registerAdmin = async (overrides: Partial<Applicant> = {}): Promise<Applicant> => {
    const who = applicant(overrides);
    await demand(202, client.post('/auth/register', who));
    return who;
  };
  const logIn = async ({
    email,
    password,
  }: Pick<Applicant, 'email' | 'password'>): Promise<Login> => {
    const { body } = await demand(200, client.post<Login>('/auth/login', { email, password }));
    return body;
  };
  return {
    applicant,
    registerAdmin,
    logIn,
    async confirmedAdmin(overrides) {
      const who = await registerAdmin(overrides);
      const { email, password } = who;
      const token = await tokenOf(email);
      await demand(200, client.post('/auth/confirm', { token, password }));
      const login = await logIn(who);
      return { ...who, id: login.admin.id, login, client: client.as(login.access_token) };
    },
  };
}

/** The token in the newest mail to the address; a worker must be running. */
export function mailedToken(context: TestContext): TokenSource {
  const mailbox = createMailbox(context.stack);
  return async (email) => tokenIn(await mailbox.waitForMail(email, { subject: /confirm/i }));
}

/** The token that a worker would mail for the newest open confirmation of the address. */
export function mintedToken(context: TestContext): TokenSource {
  const keys = deriveKeyRing({ current: SECRET_KEY, previous: [] }, 'confirmation');
  return async (email) => {
    const [row] = await context.rows<{
      id: string;
      purpose: string;
      email: string;
      nonce: Buffer;
    }>(
      `select id, purpose, email, nonce from confirmations
        where lower(email) = lower($1) and superseded_at is null order by created_at desc limit 1`,
      [email],
    );
    if (!row) throw new Error(`no confirmation for ${email}`);
    return deriveConfirmationToken(keys, row);
  };
}

async function demand<A extends { status: number; text: string }>(
  status: number,
  answer: Promise<A>,
): Promise<A> {
  const given = await answer;
  if (given.status !== status)
    throw new Error(`expected ${status}, got ${given.status}: ${given.text}`);
  return given;
}
