package trust

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Limits on what is read: a file that is larger or has more is not one of ours.
const (
	maxFile         = 256 << 10 // bytes
	maxCertificates = 16
)

// Types of PEM blocks (RFC 7468).
const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
)

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: der})
}

// encodeKey writes a private key as PKCS #8 (RFC 5958).
func encodeKey(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}

// parseKey reads the first private key of a PEM text.
func parseKey(text []byte) (crypto.PrivateKey, error) {
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			return nil, errors.New("there is no private key in it (PEM, PRIVATE KEY)")
		}
		if block.Type != pemKey {
			continue
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("the private key in it cannot be read: %w", err)
		}
		return key, nil
	}
}

// ParseCertificates reads all certificates of a PEM text, 1 to 16.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			break
		}
		if block.Type != pemCertificate {
			continue
		}
		if len(all) == maxCertificates {
			return nil, fmt.Errorf("there are more than %d certificates in it", maxCertificates)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in it cannot be read: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no certificate in it (PEM, CERTIFICATE)")
	}
	return all, nil
}

func readCertificates(file string) ([]*x509.Certificate, error) {
	text, err := readFile(file)
	if err != nil {
		return nil, err
	}
	certs, err := ParseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return certs, nil
}

// readFile reads a file of bounded size.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d KiB: it is no certificate and no key", name, maxFile>>10)
	}
	return text, nil
}

// createFile writes a file that is not there yet, for its owner only, at once and whole. One that is there stays as it is:
// the error then is fs.ErrExist.
func createFile(name string, text []byte) error {
	temporary, err := writeTemporary(name, text)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	// A link never replaces anything, as a rename would.
	err = os.Link(temporary, name)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// Some file systems have no links. Two programs at the same moment are not told apart there.
	if _, absent := os.Lstat(name); absent == nil {
		return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	return os.Rename(temporary, name)
}

// replaceFile writes a file, for its owner only, at once and whole, in the place of any that is there.
func replaceFile(name string, text []byte) error {
	temporary, err := writeTemporary(name, text)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, name); err != nil {
		os.Remove(temporary)
		return err
	}
	return nil
}

// writeTemporary writes a text to a new file beside name, flushed to disk.
func writeTemporary(name string, text []byte) (string, error) {
	temporary := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+rand.Text()[:8])
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(temporary)
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	return temporary, nil
}

// SaveNode writes a node's folder, which is made when it is not there: the authority's certificate, the node's own, and its
// key. Files that are there already stay as they are: the error then is fs.ErrExist, and nothing was written.
func SaveNode(dir string, authority []byte, pair Pair) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	names := []string{KeyFile, CertificateFile, AuthorityFile}
	for i, text := range [][]byte{pair.Key, pair.Certificate, authority} {
		if err := createFile(filepath.Join(dir, names[i]), text); err != nil {
			for _, made := range names[:i] {
				os.Remove(filepath.Join(dir, made))
			}
			return err
		}
	}
	return nil
}

// ReplaceNode is SaveNode over files that are there already. A node that reads them in between finds a certificate without its
// key, goes on with what it has, and looks again.
func ReplaceNode(dir string, authority []byte, pair Pair) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	names := []string{AuthorityFile, KeyFile, CertificateFile}
	for i, text := range [][]byte{authority, pair.Key, pair.Certificate} {
		if err := replaceFile(filepath.Join(dir, names[i]), text); err != nil {
			return err
		}
	}
	return nil
}
