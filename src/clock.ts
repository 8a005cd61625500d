/** A clock: POSIX seconds, whole. The only way that time enters a part. */
export type Clock = () => number;
