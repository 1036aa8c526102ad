/** Of a TLS handshake as browsers make it today: a hello with a post-quantum key share, certificates and a small page. */
export const HELLO_SIZE = 2048;
export const ANSWER_SIZE = 100_000;
