// Verdicts of CometBFT's own light client over signed headers made at random, most of them wrong in
// one place, and of its Ed25519 over edge cases. Prints JSON. Needs github.com/cometbft/cometbft v0.39.4.
package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/crypto/tmhash"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	cmtmath "github.com/cometbft/cometbft/libs/math"
	"github.com/cometbft/cometbft/light"
	"github.com/cometbft/cometbft/proto/tendermint/version"
	"github.com/cometbft/cometbft/types"
	cmtversion "github.com/cometbft/cometbft/version"
)

const chain = "verdicts"

var (
	random = rand.New(rand.NewSource(31))
	start  = time.Unix(1_700_000_000, 987_654_321).UTC()
	keys   = map[string]ed25519.PrivKey{}
)

func makeSet(from, count int, power func(int) int64) *types.ValidatorSet {
	list := make([]*types.Validator, count)
	for i := range list {
		key := ed25519.GenPrivKeyFromSecret([]byte(fmt.Sprint("verdict ", from+i)))
		keys[string(key.PubKey().Address())] = key
		list[i] = types.NewValidator(key.PubKey(), power(i))
	}
	return types.NewValidatorSet(list)
}

func digest(text string) []byte { return tmhash.Sum([]byte(text)) }

func makeHeader(height int64, at time.Time, vals, next *types.ValidatorSet) *types.Header {
	return &types.Header{
		Version:            version.Consensus{Block: cmtversion.BlockProtocol, App: uint64(random.Intn(3))},
		ChainID:            chain,
		Height:             height,
		Time:               at,
		LastBlockID:        types.BlockID{Hash: digest(fmt.Sprint(height)), PartSetHeader: types.PartSetHeader{Total: 1, Hash: digest("p")}},
		LastCommitHash:     digest("commit"),
		DataHash:           digest("data"),
		ValidatorsHash:     vals.Hash(),
		NextValidatorsHash: next.Hash(),
		ConsensusHash:      digest("params"),
		AppHash:            digest(fmt.Sprint("app", height))[:random.Intn(33)],
		LastResultsHash:    digest("results"),
		EvidenceHash:       digest("evidence"),
		ProposerAddress:    vals.Validators[0].Address,
	}
}

func signHeader(h *types.Header, vals *types.ValidatorSet, flag func(int) types.BlockIDFlag, chainID string) *types.Commit {
	id := types.BlockID{Hash: h.Hash(), PartSetHeader: types.PartSetHeader{Total: uint32(1 + random.Intn(3)), Hash: digest("parts")}}
	commit := &types.Commit{Height: h.Height, Round: int32(random.Intn(3)), BlockID: id}
	for i, val := range vals.Validators {
		f := flag(i)
		if f == types.BlockIDFlagAbsent {
			commit.Signatures = append(commit.Signatures, types.NewCommitSigAbsent())
			continue
		}
		sig := types.CommitSig{BlockIDFlag: f, ValidatorAddress: val.Address, Timestamp: h.Time.Add(time.Duration(random.Int63n(1e9)))}
		commit.Signatures = append(commit.Signatures, sig)
		resign(commit, i, chainID)
	}
	return commit
}

func resign(commit *types.Commit, i int, chainID string) {
	sig := &commit.Signatures[i]
	key, ok := keys[string(sig.ValidatorAddress)]
	if !ok {
		return
	}
	signature, err := key.Sign(commit.VoteSignBytes(chainID, int32(i)))
	if err != nil {
		panic(err)
	}
	sig.Signature = signature
}

type mutation struct {
	name string
	do   func(h *types.SignedHeader, vals *types.ValidatorSet)
}

func pick(c *types.Commit) int { return random.Intn(len(c.Signatures)) }

var mutations = []mutation{
	{"none", func(*types.SignedHeader, *types.ValidatorSet) {}},
	{"none", func(*types.SignedHeader, *types.ValidatorSet) {}},
	{"none", func(*types.SignedHeader, *types.ValidatorSet) {}},
	{"none", func(*types.SignedHeader, *types.ValidatorSet) {}},
	{"none", func(*types.SignedHeader, *types.ValidatorSet) {}},
	{"none", func(*types.SignedHeader, *types.ValidatorSet) {}},
	{"none", func(*types.SignedHeader, *types.ValidatorSet) {}},
	{"none", func(*types.SignedHeader, *types.ValidatorSet) {}},
	{"none", func(*types.SignedHeader, *types.ValidatorSet) {}},
	{"none", func(*types.SignedHeader, *types.ValidatorSet) {}},
	{"none", func(*types.SignedHeader, *types.ValidatorSet) {}},
	{"none", func(*types.SignedHeader, *types.ValidatorSet) {}},
	{"app hash", func(h *types.SignedHeader, _ *types.ValidatorSet) { h.AppHash = digest("x") }},
	{"header time", func(h *types.SignedHeader, _ *types.ValidatorSet) { h.Time = h.Time.Add(1) }},
	{"header height", func(h *types.SignedHeader, _ *types.ValidatorSet) { h.Header.Height++ }},
	{"commit height", func(h *types.SignedHeader, _ *types.ValidatorSet) { h.Commit.Height++ }},
	{"round", func(h *types.SignedHeader, _ *types.ValidatorSet) { h.Commit.Round++ }},
	{"parts", func(h *types.SignedHeader, _ *types.ValidatorSet) { h.Commit.BlockID.PartSetHeader.Total++ }},
	{"block protocol", func(h *types.SignedHeader, vals *types.ValidatorSet) {
		h.Version.Block++
		*h.Commit = *signHeader(h.Header, vals, func(int) types.BlockIDFlag { return types.BlockIDFlagCommit }, chain)
	}},
	{"chain", func(h *types.SignedHeader, vals *types.ValidatorSet) {
		h.ChainID = "other"
		*h.Commit = *signHeader(h.Header, vals, func(int) types.BlockIDFlag { return types.BlockIDFlagCommit }, "other")
	}},
	{"votes of another chain", func(h *types.SignedHeader, vals *types.ValidatorSet) {
		*h.Commit = *signHeader(h.Header, vals, func(int) types.BlockIDFlag { return types.BlockIDFlagCommit }, "other")
	}},
	{"signature", func(h *types.SignedHeader, _ *types.ValidatorSet) {
		s := &h.Commit.Signatures[pick(h.Commit)]
		if len(s.Signature) > 0 {
			s.Signature[random.Intn(64)] ^= 1 << random.Intn(8)
		}
	}},
	{"vote time", func(h *types.SignedHeader, _ *types.ValidatorSet) {
		s := &h.Commit.Signatures[pick(h.Commit)]
		s.Timestamp = s.Timestamp.Add(1)
	}},
	{"address", func(h *types.SignedHeader, _ *types.ValidatorSet) {
		s := &h.Commit.Signatures[pick(h.Commit)]
		if len(s.ValidatorAddress) > 0 {
			s.ValidatorAddress = digest("address")[:20]
		}
	}},
	{"address of another", func(h *types.SignedHeader, vals *types.ValidatorSet) {
		i := pick(h.Commit)
		if h.Commit.Signatures[i].BlockIDFlag != types.BlockIDFlagAbsent {
			h.Commit.Signatures[i].ValidatorAddress = vals.Validators[(i+1)%vals.Size()].Address
		}
	}},
	{"copied vote", func(h *types.SignedHeader, _ *types.ValidatorSet) {
		h.Commit.Signatures[pick(h.Commit)] = h.Commit.Signatures[pick(h.Commit)]
	}},
	{"swapped votes", func(h *types.SignedHeader, _ *types.ValidatorSet) {
		i, j := pick(h.Commit), pick(h.Commit)
		h.Commit.Signatures[i], h.Commit.Signatures[j] = h.Commit.Signatures[j], h.Commit.Signatures[i]
	}},
	{"nil as commit", func(h *types.SignedHeader, _ *types.ValidatorSet) {
		for i := range h.Commit.Signatures {
			if h.Commit.Signatures[i].BlockIDFlag == types.BlockIDFlagNil {
				h.Commit.Signatures[i].BlockIDFlag = types.BlockIDFlagCommit
			}
		}
	}},
	{"commit as nil", func(h *types.SignedHeader, _ *types.ValidatorSet) {
		s := &h.Commit.Signatures[pick(h.Commit)]
		if s.BlockIDFlag == types.BlockIDFlagCommit {
			s.BlockIDFlag = types.BlockIDFlagNil
		}
	}},
	{"one vote more", func(h *types.SignedHeader, _ *types.ValidatorSet) {
		h.Commit.Signatures = append(h.Commit.Signatures, h.Commit.Signatures[pick(h.Commit)])
	}},
	{"one vote fewer", func(h *types.SignedHeader, _ *types.ValidatorSet) {
		h.Commit.Signatures = h.Commit.Signatures[:len(h.Commit.Signatures)-1]
	}},
	{"flag", func(h *types.SignedHeader, _ *types.ValidatorSet) {
		h.Commit.Signatures[pick(h.Commit)].BlockIDFlag = 4
	}},
	{"contents of an absent vote", func(h *types.SignedHeader, _ *types.ValidatorSet) {
		h.Commit.Signatures[pick(h.Commit)].BlockIDFlag = types.BlockIDFlagAbsent
	}},
}

type verdict struct {
	Name          string          `json:"name"`
	Trusted       json.RawMessage `json:"trusted"`
	TrustedVals   json.RawMessage `json:"trustedValidators"`
	Untrusted     json.RawMessage `json:"untrusted"`
	UntrustedVals json.RawMessage `json:"untrustedValidators"`
	Now           int64           `json:"now"`
	Verdict       string          `json:"verdict"`
}

const (
	period = 3600 * time.Second
	drift  = 10 * time.Second
)

func judge(trusted *types.SignedHeader, trustedVals *types.ValidatorSet, h *types.SignedHeader, vals *types.ValidatorSet, now time.Time) string {
	err := light.Verify(trusted, trustedVals, h, vals, period, now, drift, light.DefaultTrustLevel)
	var trust light.ErrNewValSetCantBeTrusted
	if errors.As(err, &trust) {
		return "NOT_ENOUGH_TRUST"
	}
	if err != nil {
		return "INVALID"
	}
	// Verify stops at enough votes; these look at all of them.
	if vals.VerifyCommitLightAllSignatures(chain, h.Commit.BlockID, h.Height, h.Commit) != nil {
		return "INVALID"
	}
	adjacent := h.Height == trusted.Height+1
	if !adjacent && trustedVals.VerifyCommitLightTrustingAllSignatures(chain, h.Commit, cmtmath.Fraction{Numerator: 1, Denominator: 3}) != nil {
		return "INVALID"
	}
	return "SUCCESS"
}

func encode(value any) json.RawMessage {
	bytes, err := cmtjson.Marshal(value)
	if err != nil {
		panic(err)
	}
	return bytes
}

func powers() func(int) int64 {
	switch random.Intn(4) {
	case 0:
		return func(int) int64 { return 10 }
	case 1:
		return func(i int) int64 { return int64(1 + i*random.Intn(3)) }
	case 2:
		return func(int) int64 { return 1 + random.Int63n(100) }
	default:
		return func(int) int64 { return 1 + random.Int63n(1<<56) }
	}
}

func step() verdict {
	size := 1 + random.Intn(6)
	trustedVals := makeSet(0, size, powers())
	shift := random.Intn(size + 2)
	vals := trustedVals
	if random.Intn(3) > 0 {
		vals = makeSet(shift, 1+random.Intn(6), powers())
	}
	next := vals
	if random.Intn(4) == 0 {
		next = trustedVals
	}
	height := int64(2)
	if random.Intn(3) > 0 {
		height = 2 + random.Int63n(50)
	}
	all := func(int) types.BlockIDFlag { return types.BlockIDFlagCommit }
	first := makeHeader(1, start, trustedVals, next)
	trusted := &types.SignedHeader{Header: first, Commit: signHeader(first, trustedVals, all, chain)}
	// Nobody looks at the votes for what is trusted already.
	trusted.Commit.Signatures = []types.CommitSig{types.NewCommitSigAbsent()}
	at := start.Add(time.Duration(random.Int63n(int64(time.Minute))))
	if random.Intn(20) == 0 {
		at = start.Add(-time.Duration(random.Intn(2)))
	}
	flags := func(int) types.BlockIDFlag {
		switch random.Intn(10) {
		case 0:
			return types.BlockIDFlagAbsent
		case 1, 2:
			return types.BlockIDFlag(1 + random.Intn(3))
		}
		return types.BlockIDFlagCommit
	}
	if random.Intn(3) > 0 {
		flags = all
	}
	second := makeHeader(height, at, vals, makeSet(shift, 2, powers()))
	h := &types.SignedHeader{Header: second, Commit: signHeader(second, vals, flags, chain)}
	now := start.Truncate(time.Second).Add(100 * time.Second)
	switch random.Intn(16) {
	case 0:
		now = at.Truncate(time.Second).Add(time.Duration(random.Intn(4)-13) * time.Second)
	case 1:
		now = start.Truncate(time.Second).Add(period + time.Duration(random.Intn(3)-1)*time.Second)
	}
	change := mutations[random.Intn(len(mutations))]
	change.do(h, vals)
	given := vals
	name := change.name
	if random.Intn(25) == 0 {
		given, name = makeSet(shift, vals.Size(), powers()), name+", another set"
	}
	return verdict{name, encode(trusted), encode(trustedVals.Validators), encode(h), encode(given.Validators), now.Unix(), judge(trusted, trustedVals, h, given, now)}
}

func main() {
	if len(os.Args) > 1 {
		curves(os.Args[1:])
		return
	}
	counts := map[string]int{}
	fmt.Println("[")
	for i := 0; i < 200; i++ {
		v := step()
		counts[v.Verdict]++
		if i > 0 {
			fmt.Println(",")
		}
		bytes, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		fmt.Print(string(bytes))
	}
	fmt.Println("\n]")
	fmt.Fprintln(os.Stderr, counts)
}

// curves prints, for files of {key, message, signature}, a digit a case: 1 when CometBFT accepts it.
func curves(files []string) {
	for _, file := range files {
		var cases []struct{ Key, Message, Signature string }
		bytes, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(bytes, &cases)
		}
		if err != nil {
			panic(err)
		}
		for _, c := range cases {
			key, _ := hex.DecodeString(c.Key)
			signature, _ := hex.DecodeString(c.Signature)
			message, err := hex.DecodeString(c.Message)
			if err != nil {
				message = []byte(c.Message)
			}
			if ed25519.PubKey(key).VerifySignature(message, signature) {
				fmt.Print("1")
			} else {
				fmt.Print("0")
			}
		}
		fmt.Println()
	}
}
