/* A model of "following": a batch that is decided on the outcome of another one before that one is committed.

   What it models. A process with two lanes, and another member that wants the same rows and may take over partitions.
   A batch takes one record at most of each partition. If the batch of the other lane, the leader, is decided, a batch may
   follow it: it takes the leader's rows, positions and events from memory, locks and reads the others (exchange 1),
   decides, inserts its movements and inbox rows (exchange 2), waits in memory until the server has answered the
   leader's commit, then locks with NOWAIT what the leader held, compares it with what it was decided on, and commits
   (exchange 3). Anything else than that answer, a lock that is held, a difference: it rolls back, and its records are
   run again without following. Row locks, keys that are inserted and not committed, claims, zombies, lost connections
   before and after a commit, kill -9, rebalances, and failovers to the state before the last commit are there. So are
   answers that are read from a server which is no primary any more.

   What must hold, at each commit: position p means that all events below have had their effect, once; versions of a row
   have no gap, and its stock is the sum of its movements; a batch was decided on the very rows, position and token that
   it is committed on; ids of messages follow each other as the versions of their row do; the leader is committed. At the
   end: where nothing can happen any more everything has been done.

   How to run it: spin -a -DLOG=1 -DF=1 following.pml && gcc -O2 -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -o pan pan.c &&
   ./pan -m400000. LOG (1 to 5) chooses the logs, F the number of faults. -DDEFINES lets somebody change a row's policy,
   -DSTRICT takes a wait in a circle, which a lock timeout ends, for an error.

   What it was seen to find. Nothing with LOG=1 to 5 and F=1 (0.7 million states with LOG=1
   and -DDEFINES, 1.1, 8.8 with LOG=3 and -DBITSTATE, 0.8, 2.7), nor with LOG=1 and F=2 (6.6 million, -DBITSTATE). Without a guard:

     -DNO_VERSION  LOG=2 or 4, F=0  a decision on a row that another member has moved since. LOG=1 has no error: there the
                                    ledger's key refuses the second movement of one version
     -DNO_POLICY   LOG=1, F=0, -DDEFINES  a decision by a policy that was changed since: no version says so
     -DNO_OFFSETS  LOG=1, F=1       a position is moved by a claim that was lost
     -DNO_FATE     LOG=3, F=0, or LOG=5, F=1  committed without its leader. LOG=1 has no error: locks and comparisons are in
                                    the way
     -DNO_IDS      LOG=3, F=0, -DSTRICT  no harm to the data, as the inbox's key refuses the copy, but the follower may
                                    insert it first, and waits in memory for a leader that waits for its key
     -DEARLY_IDS   LOG=1, F=0       ids against the order of versions
     -DWAITS       LOG=1 or 2, F=0, -DSTRICT  without NOWAIT: who was given the row inserts a version that the follower has
                                    inserted, and each waits for the other
     -DNO_SERVER   LOG=2, F=1       the leader's commit was answered by a server that is no primary any more, the follower began
                                    on the next one, where the row has the same version and another stock

   With -DSTRICT alone LOG=1 to 4 have no circle. LOG=5 has one: the leader waits for an event's key of the other member's,
   that one for a key of the follower's, and the follower in memory for the leader. Only a lock timeout ends it. */

#ifndef F
#define F 2                       /* faults: lost connections and answers, crashes, rebalances, failovers */
#endif
#ifndef LOG
#define LOG 1
#endif

/* The logs. Partitions 0 and 1 belong to the process with two lanes at first, 2 to the other member. What an event
   reads and moves are masks of rows: 1 = X, 2 = Y. One that is decided and moves nothing is a rejection. */
#define NP 3
#define NR 2
#define NE 4
#define NV 5                      /* versions of a row, from 1 */
#define NONE 255
#if LOG == 1                      /* one partition's batches in a row; the other member wants the same row */
#define LOGS length[0]=2; log[0]=0; log[1]=1;              length[2]=1; log[6]=2;
#define EVENTS reads[0]=1; moves[0]=1; reads[1]=1; moves[1]=1; reads[2]=1; moves[2]=1;
#elif LOG == 2                    /* different partitions that share rows; one event of them only reads */
#define LOGS length[0]=1; log[0]=0; length[1]=1; log[3]=1;    length[2]=1; log[6]=2;
#define EVENTS reads[0]=1; moves[0]=1; reads[1]=3; moves[1]=2; reads[2]=3; moves[2]=3;
#elif LOG == 3                    /* the same events in several partitions */
#define LOGS length[0]=2; log[0]=0; log[1]=1; length[1]=1; log[3]=0; length[2]=1; log[6]=1;
#define EVENTS reads[0]=1; moves[0]=1; reads[1]=2; moves[1]=2;
#elif LOG == 4                    /* a chain of three; the second only reads */
#define LOGS length[0]=3; log[0]=0; log[1]=1; log[2]=2;    length[2]=1; log[6]=3;
#define EVENTS reads[0]=1; moves[0]=1; reads[1]=1; moves[1]=0; reads[2]=1; moves[2]=1; reads[3]=1; moves[3]=1;
#elif LOG == 5                    /* events without rows, that meet in the inbox only; the other member has two logs */
#define LOGS length[0]=2; log[0]=0; log[1]=1; length[1]=1; log[3]=0; group[1]=1; length[2]=1; log[6]=1;
#define EVENTS skip;
#endif
byte length[NP], log[NP*3], reads[NE], moves[NE];
#define EV(p,o) log[(p)*3+(o)]

/* The database: what is committed, and s...: what was committed before the last commit, to which a failover leads. */
typedef Row { byte version, sum; bit policy };
typedef Ledger { byte at[NV] };   /* the event of each version, and 1; 0 = there is none */
byte position[NP], token[NP];   Row row[NR];  Ledger ledger[NR];  byte inbox;
byte sposition[NP], stoken[NP]; Row srow[NR]; Ledger sledger[NR]; byte sinbox;

/* Locks and keys that are inserted and not committed: the transaction that holds them, and 1. */
byte offsetLock[NP], rowLock[NR], eventKey[NE]; Ledger versionKey[NR];

/* Transactions, one a lane: 0 and 1 are the process that follows, 2 is the other member. */
#define OPEN 1
#define ENDED 2                   /* rolled back by the server, or gone with it */
#define COMMITTED 3
byte tx[3];
byte primary;                     /* counts failovers */
byte server[3], leading[3];       /* the one that a batch, and its leader, have to do with */

/* Ids of messages. Only their order matters: before[t].at[u] says that t drew before u, late[t].at[x] that the newest
   version of row x has an id that was drawn after t's. */
typedef Bits { bit at[3] };
bit drawn[3]; Bits before[3], late[3];

/* What a batch holds and what comes of it: the records that it takes from each partition (one at most), which of
   them are fresh (a mask of partitions), what it knows of rows, and which events it makes known. */
typedef Batch { byte from[NP]; byte claim[NP]; byte want, fresh, known, ids; Row base[NR], after[NR] };
Batch batch[3], leader[3];        /* leader: a copy of the outcome that is followed */
bit decided[3], follows[3], alone[3];
byte follower[3] = NONE, told[3]; /* told: 1 = the leader is committed, 2 = it is not, or nobody knows */
bit stored[3], sstored[3], led[3], sled[3]; /* for the assertions: this batch, and its leader, are in the database */

/* The members: what the group says, what they believe. */
bit group[NP]; typedef Claims { byte token[NP]; byte at[NP] }; Claims claims[2];
byte tokens, faults = F;

#define ME (t+1)
#define FREE(l) (l == 0 || l == ME)
#define ALL (position[0] == length[0] && position[1] == length[1] && position[2] == length[2])
#define IN(b,p) (b.from[p] != NONE)
#define TAKEN(p) (follows[t] && IN(leader[t],p))              /* the leader advances that partition */
#define HELD(x) (follows[t] && (leader[t].want >> x & 1))     /* the leader holds that row */
#define WANTS(x) (batch[t].want >> x & 1)

inline endLocks(t1) {              /* the server ends t1 */
  k = 0; do :: k < NP -> if :: offsetLock[k] == t1+1 -> offsetLock[k] = 0 :: else fi; k++ :: else -> break od;
  k = 0; do :: k < NE -> if :: eventKey[k] == t1+1 -> eventKey[k] = 0 :: else fi; k++ :: else -> break od;
  k = 0; do :: k < NR ->
      if :: rowLock[k] == t1+1 -> rowLock[k] = 0 :: else fi;
      l = 0; do :: l < NV -> if :: versionKey[k].at[l] == t1+1 -> versionKey[k].at[l] = 0 :: else fi; l++ :: else -> break od;
      k++ :: else -> break od;
  k = 0; do :: k < 3 -> before[k].at[t1] = 0; before[t1].at[k] = 0; late[t1].at[k] = 0; k++ :: else -> break od;
  drawn[t1] = 0; k = 0; l = 0
}

inline draw() { d_step {
  k = 0; do :: k < 3 -> before[k].at[t] = drawn[k]; before[t].at[k] = 0; late[t].at[k] = 0; k++ :: else -> break od;
  drawn[t] = 1; before[t].at[t] = 0; k = 0
} }

#define copyRow(dst, src) dst.version = src.version; dst.sum = src.sum; dst.policy = src.policy
#define copyRows(dst, src) k = 0; do :: k < NR -> copyRow(dst[k], src[k]); k++ :: else -> break od; k = 0
#define copyLedger(dst, src) k = 0; do :: k < NR -> \
  l = 0; do :: l < NV -> dst[k].at[l] = src[k].at[l]; l++ :: else -> break od; k++ :: else -> break od; k = 0; l = 0
inline save() {
  k = 0; do :: k < NP -> sposition[k] = position[k]; stoken[k] = token[k]; sstored[k] = stored[k]; sled[k] = led[k]; k++ :: else -> break od;
  copyRows(srow, row); copyLedger(sledger, ledger); sinbox = inbox
}

/* All that must hold of what is committed. */
inline check() {
  p = 0; do :: p < NP -> k = 0; do :: k < position[p] -> assert(inbox >> EV(p,k) & 1); k++ :: else -> break od; p++ :: else -> break od;
  x = 0; do :: x < NR ->
      e = 0; n = 0; k = 0; l = 0;               /* l: events that have moved this row; n: their sum */
      do :: k < row[x].version ->
             assert(ledger[x].at[k] != 0);                                /* no gap */
             e = ledger[x].at[k]-1; assert(!(l >> e & 1));                /* at most one effect */
             l = l | 1 << e; n = n + e+1; k++
         :: else -> break od;
      do :: k < NV -> assert(ledger[x].at[k] == 0); k++ :: else -> break od;
      assert(row[x].sum == n);                                            /* stock is the sum of its movements */
      e = 0; do :: e < NE ->                                              /* an effect if and only if an inbox row */
             assert((l >> e & 1) == ((inbox >> e & 1) && (moves[e] >> x & 1))); e++
         :: else -> break od;
      x++ :: else -> break od;
  p = 0; x = 0; e = 0; n = 0; k = 0; l = 0
}

inline commit() { d_step {
  save();
#ifndef NO_SERVER                   /* without that guard it shows what harm comes of it */
  assert(!follows[t] || led[t]);                                          /* committed implies that the leader is */
#endif
  p = 0; do :: p < NP ->
      if :: IN(batch[t],p) ->
             assert(position[p] == batch[t].from[p] && token[p] == batch[t].claim[p]);
             position[p] = batch[t].from[p]+1
         :: else fi;
      p++ :: else -> break od;
  x = 0; do :: x < NR ->
      p = 0; n = batch[t].base[x].version;
      do :: p < NP ->
             if :: batch[t].fresh >> p & 1 ->
                    e = EV(p, batch[t].from[p]);
                    if :: reads[e] >> x & 1 ->                            /* decided on what is committed now */
                           assert(row[x].version == batch[t].base[x].version && row[x].sum == batch[t].base[x].sum &&
                                  row[x].policy == batch[t].base[x].policy)
                       :: else fi;
                    if :: moves[e] >> x & 1 ->
                           assert(!late[t].at[x]);                        /* ids in the order of versions */
                           ledger[x].at[n] = e+1; n++
                       :: else fi
                :: else fi;
             p++ :: else -> break od;
      if :: n > batch[t].base[x].version ->
             row[x].version = n; row[x].sum = batch[t].after[x].sum;
             k = 0; do :: k < 3 -> if :: before[k].at[t] -> late[k].at[x] = 1 :: else fi; k++ :: else -> break od
         :: else fi;
      x++ :: else -> break od;
  inbox = inbox | batch[t].ids;
  stored[t] = 1; if :: follower[t] != NONE -> led[follower[t]] = 1 :: else fi;
  tx[t] = COMMITTED; endLocks(t);
  check()
} }

/* In memory: what becomes of each record, on the rows as read, or as the leader leaves them. */
inline decide() { d_step {
  x = 0; do :: x < NR ->
      if :: HELD(x) && WANTS(x) -> batch[t].base[x].version = leader[t].after[x].version;
             batch[t].base[x].sum = leader[t].after[x].sum; batch[t].base[x].policy = leader[t].after[x].policy
         :: else fi; x++ :: else -> break od;
  copyRows(batch[t].after, batch[t].base);
  l = batch[t].known;
#ifndef NO_IDS
  if :: follows[t] -> l = l | leader[t].ids :: else fi;
#endif
  p = 0; do :: p < NP ->
      if :: IN(batch[t],p) -> e = EV(p, batch[t].from[p]);
             if :: l >> e & 1 -> skip                                     /* a duplicate */
                :: else -> l = l | 1 << e; batch[t].ids = batch[t].ids | 1 << e; batch[t].fresh = batch[t].fresh | 1 << p;
                   x = 0; do :: x < NR ->
                       if :: moves[e] >> x & 1 -> batch[t].after[x].version++; batch[t].after[x].sum = batch[t].after[x].sum + e+1
                          :: else fi; x++ :: else -> break od
             fi
         :: else fi; p++ :: else -> break od;
  decided[t] = 1; p = 0; x = 0; e = 0; k = 0; l = 0
} }

inline forget() { d_step {        /* the lane has no batch */
  k = 0; do :: k < NP -> batch[t].from[k] = NONE; batch[t].claim[k] = 0; leader[t].from[k] = NONE; leader[t].claim[k] = 0; k++ :: else -> break od;
  k = 0; do :: k < NR ->
      batch[t].base[k].version = 0; batch[t].base[k].sum = 0; batch[t].base[k].policy = 0;
      batch[t].after[k].version = 0; batch[t].after[k].sum = 0; batch[t].after[k].policy = 0;
      leader[t].after[k].version = 0; leader[t].after[k].sum = 0; leader[t].after[k].policy = 0; k++ :: else -> break od;
  batch[t].want = 0; batch[t].fresh = 0; batch[t].known = 0; batch[t].ids = 0; leader[t].want = 0; leader[t].ids = 0;
  decided[t] = 0; follows[t] = 0; told[t] = 0; stored[t] = 0; sstored[t] = 0; led[t] = 0; sled[t] = 0; tx[t] = 0; server[t] = 0; leading[t] = 0;
  if :: t < 2 && follower[u] == t -> follower[u] = NONE :: else fi;
  p = 0; x = 0; e = 0; n = 0; k = 0; l = 0; i = 0
} }

/* Which partitions the lane may take records of: i. Those of the other lane's batch only where that can be followed. */
#define CAN_FOLLOW (t < 2 && decided[u] && told[u] != 2 && follower[u] == NONE && !alone[t])
#define READY(p) (claims[m].token[p] != 0 && claims[m].at[p] < length[p] && (t == 2 || !IN(batch[u],p) || CAN_FOLLOW))

inline take() { d_step {          /* n: the partitions, i: whether to follow */
  p = 0; do :: p < NP ->
      if :: n >> p & 1 -> batch[t].from[p] = claims[m].at[p]; batch[t].claim[p] = claims[m].token[p]; claims[m].at[p]++;
             batch[t].want = batch[t].want | reads[EV(p, batch[t].from[p])]
         :: else fi; p++ :: else -> break od;
  if :: i -> follows[t] = 1; follower[u] = t; leading[t] = server[u]; led[t] = stored[u]; sled[t] = sstored[u];
         k = 0; do :: k < NP -> leader[t].from[k] = batch[u].from[k]; leader[t].claim[k] = batch[u].claim[k]; k++ :: else -> break od;
         copyRows(leader[t].after, batch[u].after); leader[t].want = batch[u].want; leader[t].ids = batch[u].ids
     :: else fi;
  p = 0; i = 0; n = 0; k = 0
} }

inline tell(fate) { decided[t] = 0; if :: follower[t] != NONE -> told[follower[t]] = fate; follower[t] = NONE :: else fi }

inline fail() { d_step {          /* the records go back, in the order of their offsets */
  if :: tx[t] == OPEN -> endLocks(t) :: else fi;
  tell(2);
  p = 0; do :: p < NP ->
      if :: IN(batch[t],p) && claims[m].token[p] == batch[t].claim[p] && claims[m].at[p] > batch[t].from[p] -> claims[m].at[p] = batch[t].from[p]
         :: else fi; p++ :: else -> break od;
  alone[t] = follows[t]; p = 0
} }

#ifdef STRICT
#define TIMED_OUT assert(false)
#else
#define TIMED_OUT skip
#endif
/* Every wait in the database ends with a lock timeout. Here that happens only when nothing else can: a circle. */
#define OR_NOT(step) :: step && tx[t] != OPEN -> goto failed :: step && timeout -> TIMED_OUT; goto failed
#ifdef WAITS
#define OR_HELD(step, lock)
#else
#define OR_HELD(step, lock) :: step && tx[t] == OPEN && !FREE(lock) -> goto failed
#endif

/* The steps of an exchange are its waits; what lies between them is passed over. */
#define NEXT_PARTITION(cond) do :: p < NP && !(cond) -> p++ :: else -> break od
#define NEXT_ROW(cond) do :: x < NR && !(cond) -> x++ :: else -> break od
#define NEXT_VERSION do :: x < NR && batch[t].base[x].version+n == batch[t].after[x].version -> x++; n = 0 :: else -> break od
#define NEXT_EVENT do :: e < NE && !(batch[t].ids >> e & 1) -> e++ :: else -> break od
#define OWN_PARTITION IN(batch[t],p) && !TAKEN(p)
#define TAKEN_PARTITION IN(batch[t],p) && TAKEN(p)
#define OWN_ROW WANTS(x) && !HELD(x)
#define HELD_ROW WANTS(x) && HELD(x)

proctype lane(byte t; byte m) {
  byte u, p, x, e, n, k, l, i;
  u = (t < 2 -> 1-t : 2);
  forget();
idle:
#ifdef EARLY_IDS
  if :: !drawn[t] -> draw() :: else fi;
#endif
end:
  if
  :: atomic { READY(0) || READY(1) || READY(2) ->
       if :: READY(0) -> n = 1 :: READY(1) -> n = 2 :: READY(2) -> n = 4 :: READY(0) && READY(1) -> n = 3
          :: READY(0) && READY(2) -> n = 5 :: READY(1) && READY(2) -> n = 6 :: READY(0) && READY(1) && READY(2) -> n = 7 fi;
       if :: CAN_FOLLOW -> i = 1
          :: !(t < 2 && ((n & 1) && IN(batch[u],0) || (n & 2) && IN(batch[u],1) || (n & 4) && IN(batch[u],2))) -> i = 0
       fi;
       take() }
  fi;
  /* Exchange 1. It begins on whatever is the primary by then. */
  atomic { tx[t] = OPEN; server[t] = primary;
#ifndef NO_SERVER
    if :: follows[t] && server[t] != leading[t] -> goto failed :: else fi;
#endif
    NEXT_PARTITION(OWN_PARTITION) };
  do
  :: atomic { p == NP -> p = 0; NEXT_ROW(OWN_ROW); break }
  :: atomic { p < NP && tx[t] == OPEN && FREE(offsetLock[p]) ->
       if :: position[p] == batch[t].from[p] && token[p] == batch[t].claim[p] -> offsetLock[p] = ME
          :: else ->              /* not ours: the session ends, everything is read anew */
             if :: claims[m].token[p] == batch[t].claim[p] -> claims[m].token[p] = 0 :: else fi;
             batch[t].from[p] = NONE
       fi;
       p++; NEXT_PARTITION(OWN_PARTITION) }
  OR_NOT(p < NP)
  od;
  do
  :: atomic { x == NR -> x = 0; break }
  :: atomic { x < NR && tx[t] == OPEN && FREE(rowLock[x]) -> rowLock[x] = ME; copyRow(batch[t].base[x], row[x]);
       x++; NEXT_ROW(OWN_ROW) }
  OR_NOT(x < NR)
  od;
  atomic {
#ifndef EARLY_IDS
    if :: tx[t] == OPEN -> draw() :: else fi;
#endif
    batch[t].known = inbox;
    if :: !IN(batch[t],0) && !IN(batch[t],1) && !IN(batch[t],2) -> goto failed :: else fi;
    decide(); NEXT_VERSION
  }
  /* Exchange 2: movements, then the inbox. */
  do
  :: atomic { x == NR -> x = 0; NEXT_EVENT; break }
  :: atomic { x < NR && tx[t] == OPEN && FREE(versionKey[x].at[batch[t].base[x].version+n]) ->
       l = batch[t].base[x].version+n;
       if :: ledger[x].at[l] != 0 -> goto failed /* unique violation */ :: else -> versionKey[x].at[l] = ME fi;
       n++; l = 0; NEXT_VERSION }
  OR_NOT(x < NR)
  od;
  do
  :: atomic { e == NE -> e = 0; break }
  :: atomic { e < NE && tx[t] == OPEN && FREE(eventKey[e]) ->
       if :: inbox >> e & 1 -> goto failed :: else -> eventKey[e] = ME fi;
       e++; NEXT_EVENT }
  OR_NOT(e < NE)
  od;
  if
  :: follows[t] ->
     /* Exchange 3. */
     if
#ifdef NO_FATE
     :: atomic { NEXT_PARTITION(TAKEN_PARTITION) }
#else
     :: atomic { told[t] == 1 -> NEXT_PARTITION(TAKEN_PARTITION) }
     :: atomic { told[t] == 2 -> goto failed }
#endif
     fi;
     do
     :: atomic { p == NP -> p = 0; NEXT_ROW(HELD_ROW); break }
     :: atomic { p < NP && tx[t] == OPEN && FREE(offsetLock[p]) ->
#ifndef NO_OFFSETS
          if :: position[p] == batch[t].from[p] && token[p] == batch[t].claim[p] -> skip :: else -> goto failed fi;
#endif
          offsetLock[p] = ME; p++; NEXT_PARTITION(TAKEN_PARTITION) }
     OR_HELD(p < NP, offsetLock[p])
     OR_NOT(p < NP)
     od;
     do
     :: atomic { x == NR -> x = 0; break }
     :: atomic { x < NR && tx[t] == OPEN && FREE(rowLock[x]) ->
#ifndef NO_VERSION
          if :: row[x].version == batch[t].base[x].version -> skip :: else -> goto failed fi;
#endif
#ifndef NO_POLICY
          if :: row[x].policy == batch[t].base[x].policy -> skip :: else -> goto failed fi;
#endif
          rowLock[x] = ME; x++; NEXT_ROW(HELD_ROW) }
     OR_HELD(x < NR, rowLock[x])
     OR_NOT(x < NR)
     od
  :: !follows[t]
  fi;
  if
  :: atomic { tx[t] == OPEN -> commit() }
  :: tx[t] != OPEN -> goto failed
  fi;
  /* The answer: read late, perhaps from a server that is no primary any more; or lost. */
  if
  :: atomic { tell(1); alone[t] = 0; forget(); goto idle }
  :: atomic { faults > 0 -> faults--; tell(2) }
  fi;
  /* Its fate is asked for: ours and moved means it was committed. */
  if
  :: atomic { (!IN(batch[t],0) || offsetLock[0] == 0) && (!IN(batch[t],1) || offsetLock[1] == 0) && (!IN(batch[t],2) || offsetLock[2] == 0) ->
       do :: p < NP ->
           if :: IN(batch[t],p) && token[p] == batch[t].claim[p] && position[p] == batch[t].from[p]+1 -> n = 1 :: else fi; p++
          :: else -> break od;
       if :: n == 1 -> alone[t] = 0; forget(); goto idle :: else fi }
  :: timeout -> TIMED_OUT
  fi;
failed:
  atomic { fail(); forget(); goto idle }
}

/* A member's session: a fresh token for each partition that the group gives it, once it has no batch of it in hand. */
#define IN_HAND(p) (m == 0 && (IN(batch[0],p) || IN(batch[1],p)) || m == 1 && IN(batch[2],p))
#define CLAIM(p) atomic { group[p] == m && claims[m].token[p] == 0 && offsetLock[p] == 0 && !IN_HAND(p) -> d_step { save(); \
    tokens++; token[p] = tokens; claims[m].token[p] = tokens; claims[m].at[p] = position[p]; k = 0; l = 0 } }
#define POLL(p) atomic { claims[m].token[p] != 0 && !IN_HAND(p) && \
    (claims[m].token[p] != token[p] || claims[m].at[p] != position[p]) -> claims[m].token[p] = 0 }
proctype session(byte m) {
  byte k, l;
end: do :: CLAIM(0) :: CLAIM(1) :: CLAIM(2) :: POLL(0) :: POLL(1) :: POLL(2) od
}

/* Somebody defines the SKU of row X, which changes what is decided on and no version. */
proctype definer() { byte k, l;
end: atomic { rowLock[0] == 0 -> d_step { save(); row[0].policy = 1; k = 0; l = 0 } } }

#define LOSE(t) if :: tx[t] == OPEN -> tx[t] = ENDED; endLocks(t) :: else fi
proctype nemesis() {
  byte k, l, i;
end: do
  :: atomic { faults > 0 && tx[0] == OPEN -> d_step { faults--; LOSE(0) } }
  :: atomic { faults > 0 && tx[1] == OPEN -> d_step { faults--; LOSE(1) } }
  :: atomic { faults > 0 && tx[2] == OPEN -> d_step { faults--; LOSE(2) } }
  :: atomic { faults > 0 -> d_step { faults--; LOSE(0); LOSE(1); claims[0].token[0] = 0; claims[0].token[1] = 0; claims[0].token[2] = 0 } } /* kill -9 */
  :: atomic { faults > 0 -> d_step { faults--; group[0] = 1-group[0]; claims[group[0]].token[0] = 0 } } /* rebalance: the old owner does not know */
  :: atomic { faults > 0 -> d_step { faults--; group[1] = 1-group[1]; claims[group[1]].token[1] = 0 } }
#ifndef NO_FAILOVER
  :: atomic { faults > 0 -> d_step { faults--; primary++; LOSE(0); LOSE(1); LOSE(2);
       k = 0; do :: k < NP -> position[k] = sposition[k]; token[k] = stoken[k]; stored[k] = sstored[k]; led[k] = sled[k]; k++ :: else -> break od;
       copyRows(row, srow); copyLedger(ledger, sledger); inbox = sinbox } }
#endif
  od
}

/* Where nothing more can happen, everything has been done: all others may end where they wait for work. */
proctype witness() { ALL && faults == 0 }

init { byte i, k; atomic {
  LOGS EVENTS group[2] = 1;
  do :: i < 3 -> 
       follower[i] = NONE; k = 0; do :: k < NP -> batch[i].from[k] = NONE; leader[i].from[k] = NONE; k++ :: else -> break od;
       tokens++; token[i] = tokens; stoken[i] = tokens; claims[group[i]].token[i] = tokens; i++
     :: else -> break od;
  i = 0; k = 0;
  run lane(0,0); run lane(1,0); run lane(2,1); run session(0); run session(1); 
#ifdef DEFINES
  run definer();
#endif
  run nemesis(); run witness()
} }
