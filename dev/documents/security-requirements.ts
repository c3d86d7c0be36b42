/** One thing that the service must do or withstand. Whether it is tested is for the tests to say, not for this list. */
export interface SecurityRequirement {
  readonly requirement: string;
  /** Chapters of ASVS 5.0 first, then what else asks for it. */
  readonly sources: string;
  /** A part that is still to come with what it belongs to; the whole of it, if no test bears the id. */
  readonly toCome?: string;
  /** Why there is nothing to test, and never will be. */
  readonly doesNotApply?: string;
}

const CONSOLE = 'the operators’ console';

/** Every requirement, by the id that the titles of its tests begin with. */
export const securityRequirements: Readonly<Record<string, SecurityRequirement>> = {
  S01: {
    requirement:
      'Registering tells nothing of an address: same status, bytes and headers, and the same work, statement by statement',
    sources: '6.3.8; API2:2023',
  },
  S02: {
    requirement:
      'Asking for a link or for another address tells nothing either: what exists is told to its mailbox alone',
    sources: '6.3.8',
  },
  S03: {
    requirement: 'Mailed tokens bear at least 128 bits of a secure random source',
    sources: '6.4.1, 6.6.3, 11.5.1',
  },
  S04: {
    requirement: 'No store holds a usable token, whatever state its mail is in',
    sources: '11.4.1, 14.2.4',
  },
  S05: {
    requirement: 'Reading the page of a link consumes nothing: mail scanners read every link',
    sources: '3.5.3, 6.5.1',
  },
  S06: {
    requirement: 'What a link does it does once, however many press its button at once',
    sources: '6.5.1, 15.4.2',
  },
  S07: {
    requirement: 'A link expires, and a newer one of its kind voids it as soon as it is sent',
    sources: '6.4.1',
  },
  S08: {
    requirement:
      'Nobody logs in before confirming, and confirming logs nobody in; a link serves its one purpose',
    sources: '2.3.1',
  },
  S09: {
    requirement: 'Links in mails start with PUBLIC_URL, whatever host a request names',
    sources: 'WSTG host header; CS Forgot Password',
  },
  S10: {
    requirement:
      'Nobody’s mailbox can be flooded through the service: every kind of mail has a cap, and links have one in all',
    sources: '2.4.1',
  },
  S11: {
    requirement:
      'A new address needs the current password, is confirmed before it counts, and the old one is told',
    sources: '6.3.7, 7.5.1',
  },
  S12: {
    requirement: 'Uniqueness holds under races, and one admin’s users say nothing to another',
    sources: '2.3.3, 15.4.2',
  },
  S13: {
    requirement: 'One mailbox is one identity; addresses that systems read differently are refused',
    sources: 'CS Email Validation; RFC 5321, UTS 46',
  },
  S14: {
    requirement:
      'Logging in tells nothing of an address: same bytes, same statements, the same number of hashes',
    sources: '6.3.8',
  },
  S15: {
    requirement: 'Passwords have at least 15 code points, counted as they are hashed (NFC)',
    sources: '6.2.1; NIST SP 800-63B-4',
  },
  S16: {
    requirement: 'No rule on what a password is made of, and nothing is cut from it',
    sources: '6.2.5, 6.2.10',
  },
  S17: {
    requirement:
      'Passwords of at least 64 characters count to the last one; too long ones cost nothing',
    sources: '6.2.8, 6.2.9',
  },
  S18: {
    requirement: 'Passwords are Unicode: equal as people see them, and well-formed',
    sources: '6.2.8; RFC 8265',
  },
  S19: {
    requirement: 'Common passwords, and those made of the account’s own words, are refused',
    sources: '6.2.4, 6.2.11, 6.2.12',
  },
  S20: {
    requirement: 'A new password needs the current one and ends all other sessions',
    sources: '6.2.2, 6.2.3, 7.4.3',
  },
  S21: {
    requirement: 'Passwords are kept as peppered bcrypt hashes, renewed when the work factor grows',
    sources: '11.4.2',
  },
  S22: {
    requirement:
      'Guesses are limited to so many a time (20 an hour go on), at the login, in a session and at the page of a link each by itself, and a limit that is reached says nothing of the password',
    sources: '6.1.1, 6.3.1',
  },
  S23: { requirement: 'Guesses at once cannot outrun the limit', sources: '15.4.2; CVE-2024-4629' },
  S24: {
    requirement:
      'Nobody can lock an owner out from elsewhere, not even before the first login: a followed link forgives all guesses, and its network is the owner’s',
    sources: '6.1.1; GHSA-cq42-vhv7-xr7p',
  },
  S25: {
    requirement:
      'A flood of logins starves no other request, and one client’s flood no login of others; what cannot be compared soon is refused at once',
    sources: '15.1.3, 15.2.2, 15.4.4; API4:2023',
  },
  S26: {
    requirement: 'A value of another type than text is no address and no password',
    sources: '15.3.5',
  },
  S27: { requirement: 'There is no default account', sources: '6.3.2' },
  S28: {
    requirement:
      'Access tokens are taken with the service’s own signature, by its one algorithm, and no other',
    sources: '9.1.1, 9.1.2; RFC 8725',
  },
  S29: {
    requirement: 'A token’s header chooses no key and makes nobody fetch one',
    sources: '9.1.3; RFC 8725, 3.10',
  },
  S30: {
    requirement: 'Tokens are good in their time alone, and all of their times are required',
    sources: '9.2.1',
  },
  S31: {
    requirement: 'Issuer, audience and type are required and compared whole',
    sources: '9.2.2, 9.2.3, 9.2.4; RFC 8725, 3.8 to 3.12',
  },
  S32: { requirement: 'A token of one kind is none of another', sources: '9.2.2' },
  S33: {
    requirement: 'A token comes in one Authorization header and nowhere else',
    sources: 'RFC 6750',
  },
  S34: {
    requirement: 'Sessions end by their number, not by the spelling of a token',
    sources: 'RFC 7515',
  },
  S35: {
    requirement:
      'An old refresh token that comes back when its successor is in use ends the session, and its admin is told',
    sources: '10.4.5, 10.4.8; RFC 9700, 4.14.2',
  },
  S36: {
    requirement:
      'A lost answer is no theft, nor is a second tab: an unused successor is given again, and so is the current one within ten seconds',
    sources: '10.4.5; RFC 9700, 4.14.2',
  },
  S37: { requirement: 'Logging out ends both tokens at once, on every instance', sources: '7.4.1' },
  S38: {
    requirement:
      'With an admin go its sessions, its users, its mails and every link to its address',
    sources: '7.4.2',
  },
  S39: { requirement: 'Admins see their sessions and can end them', sources: '7.4.5, 7.5.2' },
  S40: {
    requirement: 'Every login is a session of its own, which no client chooses',
    sources: '7.2.4',
  },
  S41: {
    requirement: 'Keys and peppers can be changed without logging anybody out',
    sources: '11.2.2, 13.3.4',
  },
  S42: {
    requirement: 'Secrets are compared in constant time, whatever their length',
    sources: '11.2.4',
    toCome: 'METRICS_TOKEN, with the metrics',
  },
  S43: {
    requirement: 'Another admin’s object is not found, exactly as one that never was',
    sources: '8.2.2, 8.4.1; API1:2023',
  },
  S44: {
    requirement: 'Every route asks for a token but those that are listed as open',
    sources: '8.2.1; API5:2023',
  },
  S45: {
    requirement: 'Fields that nobody may set are refused by name',
    sources: '8.2.3, 15.3.3; API3:2023',
  },
  S46: {
    requirement: 'Answers hold the documented fields, and nothing that is kept secret',
    sources: '14.2.6, 15.3.1',
  },
  S47: {
    requirement: 'An id is a whole number in one form, once',
    sources: '1.4.2, 2.2.1, 15.3.7',
  },
  S48: { requirement: 'What clients send is never a part of SQL', sources: '1.2.4; API8:2023' },
  S49: { requirement: 'Listings have an end, and cursors cannot be made up', sources: 'API4:2023' },
  S50: {
    requirement: 'No cell of an exported table is a formula',
    sources: '1.2.10',
    toCome: 'the export of users',
  },
  S51: {
    requirement: 'What one admin writes is limited',
    sources: '2.4.1; API4:2023, API6:2023',
    toCome: 'a limit on the number of users, if one is ever asked for',
  },
  S52: {
    requirement: 'Bodies have a size; one that is too large is not read on, and none is inflated',
    sources: '15.2.2',
  },
  S53: {
    requirement:
      'JSON is an object that every reader reads alike: UTF-8, no name twice, not deep, not wide',
    sources: '1.5.3, 2.2.1; RFC 7493',
  },
  S54: { requirement: 'Only what says that it is JSON is read as JSON', sources: '3.5.2, 4.1.1' },
  S55: { requirement: 'No body and no query reaches a prototype', sources: '15.3.6' },
  S56: { requirement: 'Errors tell nothing of the inside', sources: '13.4.2, 16.5.1; RFC 9457' },
  S57: { requirement: 'Methods that are not documented do nothing', sources: '4.1.4, 13.4.4' },
  S58: {
    requirement: 'A request with two readings is refused, and its connection closed',
    sources: '4.2.1; RFC 9112',
  },
  S59: {
    requirement: 'Slow and idle clients are cut off and keep nobody from an answer',
    sources: '15.2.2; CS Denial of Service',
  },
  S60: {
    requirement:
      'Every answer, those of the parser too, bears the headers that keep browsers from harm',
    sources: '3.4.1, 3.4.3, 3.4.4, 3.4.5, 3.4.6, 14.3.2',
  },
  S61: { requirement: 'No other origin is given leave', sources: '3.4.2' },
  S62: {
    requirement: 'Swagger UI runs and loads nothing but its own',
    sources: '3.4.3, 13.4.5; CVE-2018-25031',
  },
  S63: { requirement: 'Nothing redirects to another host', sources: '3.7.2' },
  S64: {
    requirement:
      'A client’s address is what the socket or a trusted proxy says; an IPv6 network is no crowd of clients',
    sources: '4.1.3, 15.3.4',
  },
  S65: {
    requirement:
      'Without Redis limits hold and writes go on; without PostgreSQL nothing is let through',
    sources: '16.5.2, 16.5.3',
  },
  S66: {
    requirement: 'Nothing that is sent, by a client or through a queue, ends a process',
    sources: '16.5.4',
  },
  S67: {
    requirement: 'The operators’ console opens to operators alone',
    sources: '8.4.2, 13.4.5; API5:2023',
    toCome: CONSOLE,
  },
  S68: {
    requirement: 'No other site acts in an operator’s name',
    sources: '3.3.1, 3.3.2, 3.3.3, 3.3.4, 3.5.1, 3.5.2, 3.5.3',
    toCome: CONSOLE,
  },
  S69: {
    requirement: 'What people call themselves is text wherever others read it',
    sources: '1.2.1, 3.2.2',
    toCome: CONSOLE,
  },
  S70: {
    requirement: 'Metrics are for those who may see them, and name no one',
    sources: '13.4.5, 14.2.4',
    toCome: 'the metrics; until then nothing is served there (S80)',
  },
  S71: { requirement: 'A job holds ids and a version', sources: '14.2.4, 16.2.5' },
  S72: {
    requirement: 'Workers do not trust what they find in Redis',
    sources: '1.5.2, 2.2.2, 15.3.5',
  },
  S73: {
    requirement: 'An address or a name adds no recipient and no header to a mail',
    sources: '1.3.11',
  },
  S74: {
    requirement: 'Nothing secret goes to a server that nobody vouches for',
    sources: '12.3.1, 12.3.2',
  },
  S75: {
    requirement: 'No secret gets into any output, log, queue or table, whatever goes wrong',
    sources: '14.2.1, 16.2.5',
  },
  S76: { requirement: 'What clients send stays inside of its log line', sources: '16.4.1' },
  S77: {
    requirement: 'Security events are recorded with time, actor, origin and request',
    sources: '16.2.1, 16.2.2, 16.3.1, 16.3.2, 16.3.3, 16.3.4',
    toCome:
      'authz_fail, input_validation_fail and malicious_direct_reference: a refused token, refused input and the id of somebody else’s object are lines of requests with status 401, 403, 404 or 422, and no events',
  },
  S78: {
    requirement:
      'Production does not start on weak, published or shared secrets, nor with plain links or the whole internet as a proxy',
    sources: '11.2.3, 13.2.3, 13.3.1',
  },
  S79: {
    requirement: 'Each process works with the least rights in PostgreSQL and Redis',
    sources: '13.2.2',
    toCome:
      'the worker’s own role in PostgreSQL, which makes the months of the audit; the IAM policy, with the bundles',
  },
  S80: {
    requirement:
      'What is installed is what was locked and checked; what is shipped holds no more than it needs',
    sources: '13.4.1, 15.1.2, 15.2.1, 15.2.4',
  },
  S81: {
    requirement:
      'Nothing that is sent takes more time than its length warrants: every regular expression is linear, and lists in headers have an end',
    sources: '1.3.12, 15.2.2; CWE-1333',
  },
  S82: {
    requirement:
      'What comes into force with a link was chosen by who reads the mail and knows the password, whoever registered first',
    sources: '2.3.1; Sudhodanan and Paverd, “Pre-hijacked accounts”, USENIX Security 2022',
  },
};
