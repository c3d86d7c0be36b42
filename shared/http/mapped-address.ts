/** An address without the IPv4-mapped form that dual-stack sockets show: RFC 4291, section 2.5.5.2. */
export const unmapped = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '');
