//! The answering side of a join, once the joiner has proven its identity and its token: one request, one
//! answer.
//!
//! Must never read into either: both are the owner's words.

use netdb_gossip_core::{identity::PublicIdentity, token::TokenId};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use crate::{
    accept::ask,
    hello::Refusal,
    incoming::{Incoming, JoinRefusal},
    join::Answer,
    limits::{MAX_JOIN_ANSWER, MAX_JOIN_REQUEST},
    record::RecordError,
    shell::Shell,
    stream::{StreamReader, StreamWriter},
};

/// Somebody with a good token.
#[derive(Clone, Copy)]
pub(crate) struct Joiner {
    pub(crate) identity: PublicIdentity,
    pub(crate) token_id: TokenId,
}

/// Serves one join to its end.
pub(crate) async fn serve(
    shell: &Shell,
    joiner: Joiner,
    mut reader: StreamReader,
    mut writer: StreamWriter,
    owner: &mpsc::Sender<Incoming>,
) {
    match exchange(shell, joiner, &mut reader, &mut writer, owner).await {
        Ok(true) => shell.counters.joins_answered.add(1),
        Ok(false) => shell.counters.joins_refused.add(1),
        Err(error) => {
            shell.counters.joins_refused.add(1);
            tracing::debug!(joiner = %joiner.identity.node_id(), %error, "join broken off");
            return;
        }
    }
    let deadline = Instant::now() + shell.limits.message;
    writer.finish(deadline).await;
    // Closing first could take the answer away from the joiner.
    reader.until_closed(deadline).await;
}

/// True if the joiner was admitted.
async fn exchange(
    shell: &Shell,
    joiner: Joiner,
    reader: &mut StreamReader,
    writer: &mut StreamWriter,
    owner: &mpsc::Sender<Incoming>,
) -> Result<bool, RecordError> {
    let deadline = Instant::now() + shell.limits.message;
    // The first record shows the joiner that we hold the token too; it tells us nothing before.
    writer.ack(0, deadline).await?;
    let request = reader.message(MAX_JOIN_REQUEST, deadline).await?;
    let Joiner { identity, token_id } = joiner;
    let question = ask(owner, |reply| Incoming::Join { identity, token_id, request, reply });
    let answer = match timeout(shell.limits.join_answer, question).await {
        Ok(Some(Ok(bytes))) if bytes.len() <= MAX_JOIN_ANSWER => Answer::Admitted(bytes),
        Ok(Some(Ok(_))) => {
            tracing::warn!("the answer to a join is over the limit");
            Answer::Refused(Refusal::Busy.into())
        }
        Ok(Some(Err(refusal))) => Answer::Refused(refusal),
        Ok(None) | Err(_) => Answer::Refused(JoinRefusal::Known(Refusal::Busy)),
    };
    let admitted = matches!(answer, Answer::Admitted(_));
    writer.message(&answer.into_bytes(), Instant::now() + shell.limits.message).await?;
    Ok(admitted)
}
