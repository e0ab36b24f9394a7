package importer

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"strings"
)

// AWX encrypts a client secret with Fernet, but for the cipher, which is AES-256 in
// place of AES-128. The key is the SHA-512 of SECRET_KEY and the name "value": half
// of it signs, half of it encrypts. Before the token, in base64 once more, stands
// "$encrypted$UTF8$AESCBC$"; UTF8 is missing in old ones.
const (
	encryptedMark = "$encrypted$"

	fernetVersion = 0x80
	fernetHead    = 1 + 8 + aes.BlockSize // version, time, initial vector
)

var errEncrypted = errors.New("SECRET_KEY does not decrypt it")

// decrypted returns a client secret of AWX in clear. A text that is not encrypted is
// returned as it is. The error never has a part of either.
func decrypted(stored, secretKey string) (string, error) {
	rest, ok := strings.CutPrefix(stored, encryptedMark)
	if !ok {
		return stored, nil
	}
	rest = strings.TrimPrefix(rest, "UTF8$")
	rest, ok = strings.CutPrefix(rest, "AESCBC$")
	if !ok {
		return "", errors.New("it is encrypted in a way that is not known")
	}
	outer, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		return "", errEncrypted
	}
	token, err := base64.URLEncoding.DecodeString(string(outer))
	if err != nil || len(token) < fernetHead+aes.BlockSize+sha256.Size || token[0] != fernetVersion {
		return "", errEncrypted
	}
	key := sha512.Sum512([]byte(secretKey + "value"))
	signed, signature := token[:len(token)-sha256.Size], token[len(token)-sha256.Size:]
	mac := hmac.New(sha256.New, key[:32])
	mac.Write(signed)
	if !hmac.Equal(mac.Sum(nil), signature) {
		return "", errEncrypted
	}
	body := signed[fernetHead:]
	block, err := aes.NewCipher(key[32:])
	if err != nil || len(body)%aes.BlockSize != 0 {
		return "", errEncrypted
	}
	clear := make([]byte, len(body))
	cipher.NewCBCDecrypter(block, signed[9:fernetHead]).CryptBlocks(clear, body)
	pad := int(clear[len(clear)-1])
	if pad < 1 || pad > aes.BlockSize {
		return "", errEncrypted
	}
	for _, c := range clear[len(clear)-pad:] {
		if int(c) != pad {
			return "", errEncrypted
		}
	}
	return string(clear[:len(clear)-pad]), nil
}
