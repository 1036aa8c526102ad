/**
 * Known answers for the algorithms that the reference provider lacks, computed with the `openssl` program (3.0.19,
 * legacy provider included). The message is the bytes 0..39, the key 1, 2, 3..., the IV 128, 129...
 */

export const KNOWN_MESSAGE_SIZE = 40;

/** CBC ciphertext of the padded message, hexadecimal. */
export const KNOWN_CIPHERTEXTS: ReadonlyMap<string, string> = new Map([
  [
    'CAMELLIA-128-CBC',
    'eab407c09bb4a830a749cc41721c7236024a0d7834e677b150d34f1d114a4c2a79b379b960f93a0bb707542fb69486ac',
  ],
  [
    'CAMELLIA-192-CBC',
    'accd1eab1caa6b069f30cbb5cc3da2feb4b14f90b881684928710d1977570df15c391b5800b3d04c0e2116f8534ad4b7',
  ],
  [
    'CAMELLIA-256-CBC',
    'd857236c5524afdfc88d669c4aa74d07bf106999cd6064d0796a02d58efd54f4da59c8ab8b3cba19cd9aae447cecf816',
  ],
  [
    'ARIA-128-CBC',
    '4fe588e38167cd85818a21c8a8267e6f582ac42e774e84fa79ad523bc48d9cdefa91e4a5c40c75ebbadeebe9a2540479',
  ],
  [
    'ARIA-192-CBC',
    '05fc29ec87da219d4e229a3a91226717fffc489e380c937c05642fe46a540c68278391f20a4b1e7e99c37d8f2a2c777c',
  ],
  [
    'ARIA-256-CBC',
    'b7b514874f2c66ae210e90e7827257cd29e4b9cfc78b13a472eea4e5021ce43d4a502f90e093361ea5ea25e3df44a6c2',
  ],
  [
    'SM4-CBC',
    '09b325bf0741e53894da245137b34eb95d7db445bf4f14fdea11cecf85fdee43cabde49f75249ac65d3d61b1302af274',
  ],
  [
    'SEED-CBC',
    '271d5a3caa8838cc2b5e7d98023f72e0b8ec997d601e90f7e8f39998a0579d065bb3f891617dac0d59cb60cf0bdb0c0e',
  ],
  [
    'DES-EDE3-CBC',
    '47dddb7686b6e0dc62bcd5add6ae869c92b564d0263cebeac251f89ca2e57d6b8077173b985c4c14c915ad2a66ca4e41',
  ],
  [
    'DES-EDE-CBC',
    '7ee1c7a44632aaa65c9b85fc187a40e5fa947497de82f70835e44edc6024e5113f6d5daedcea12bb367c227db246e68e',
  ],
  [
    'DES-CBC',
    'efb029565685ce98a1d7191ca0598d70672328ffd366b5f3e11bb7045b3ea0f9dd83eda16f37f93445015d9003fc2d0f',
  ],
  [
    'BF-CBC',
    '2fe48248020e407a7eaf80c9f54bb1a0c74a80224727fff3846c0ae450244595bb4b0d5dd04bca38630c82733285802b',
  ],
  [
    'CAST5-CBC',
    '8d138b5e9324067c3217d25972059c2c904fcf1644def272fff8a6a2191a42f4517c429521ac959470e75069db0d3af2',
  ],
  [
    'RC2-CBC',
    '71075dac2a486a00d544e85a6db97350f5f2cb891a9f666f9c2b826075472d6d0e4adff5238564d0a6cd973a4c03e26d',
  ],
]);

/** HMAC of the message, hexadecimal. */
export const KNOWN_TAGS: ReadonlyMap<string, string> = new Map([
  ['MD5-SHA1', '28eb92b4d86626148561fba8846729384068f1e1f32b2ea7fa253e6bba458af050e99b90'],
  ['SM3', '36d971c87587a868840b0b8376c2e6fd0c55f1152b2100f0a040e506b4f90d61'],
]);
