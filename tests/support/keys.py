"""What looks like a private key to a scanner, and is none."""

PRIVATE_KEY = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    + "MIIEpAIBAAKCAQEAabcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL\n" * 4
    + "-----END RSA PRIVATE KEY-----\n"
)
