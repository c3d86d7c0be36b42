import pg from 'pg';

declare module 'pg' {
  interface Client {
    /** What a session is opened with: user, database and settings (protocol 3.0, StartupMessage). Not in the driver's types. */
    getStartupConf(): Record<string, string>;
  }
}

/**
 * Settings that would otherwise be those of the role, the database or the server: the driver reads times in the style ISO only,
 * and anything else as no time at all. Connection poolers know these three, and keep them for each client.
 */
const SESSION_SETTINGS = {
  DateStyle: 'ISO, MDY',
  TimeZone: 'UTC',
  standard_conforming_strings: 'on',
} as const;

/**
 * A client whose answers do not depend on the settings of role, database and server, nor on variables of libpq, such as
 * PGOPTIONS, which the driver reads for what it is not given. The driver itself asks for UTF-8.
 */
export class SessionClient extends pg.Client {
  constructor(config: pg.ClientConfig = {}) {
    // Derived instead of copied: a pool's configuration has a password that is not enumerable.
    super(Object.create(config, { sslnegotiation: { value: 'postgres' } }) as pg.ClientConfig);
  }

  override getStartupConf(): Record<string, string> {
    const settings: Record<string, string> = { ...super.getStartupConf(), ...SESSION_SETTINGS };
    // Never given, so these come from PGOPTIONS and PGREPLICATION.
    delete settings['options'];
    delete settings['replication'];
    return settings;
  }
}
