use super::*;
use http_body_util::BodyExt;

async fn take(body: &mut Body) -> Option<Result<Bytes, BodyError>> {
    Some(body.frame().await?.map(|frame| frame.into_data().unwrap_or_default()))
}

fn piece() -> Bytes {
    Bytes::from_static(b"0123456789")
}

#[tokio::test]
async fn a_lone_reader_may_be_slow_but_not_stand_still() {
    let (recording, mut reader) = Recording::new(None);
    recording.give_up_keeping();
    for _ in 0..3 {
        recording.write(piece());
    }
    assert_eq!(recording.room(10), Room::Full);
    recording.watch();
    assert_eq!(take(&mut reader).await, Some(Ok(piece())));
    assert_eq!(recording.cut_slowest(), 0, "it has taken something");
    recording.watch();
    assert_eq!(recording.cut_slowest(), 1);
    assert_eq!(take(&mut reader).await, Some(Err(BodyError::Lagged)));
    assert_eq!(recording.room(10), Room::Abandoned);
}

#[tokio::test]
async fn a_slow_reader_is_cut_off_where_others_have_read_all() {
    let (recording, mut slow) = Recording::new(None);
    let mut quick = recording.reader().unwrap();
    for _ in 0..3 {
        recording.write(piece());
    }
    recording.give_up_keeping();
    recording.watch();
    assert_eq!(take(&mut slow).await, Some(Ok(piece())));
    assert!(!recording.holds_up(), "nobody waits for more");
    for _ in 0..3 {
        assert_eq!(take(&mut quick).await, Some(Ok(piece())));
    }
    assert!(recording.holds_up());
    assert_eq!(recording.cut_slowest(), 1, "though it has moved");
    assert!(!recording.holds_up());
    assert_eq!(recording.room(10), Room::Free);
    recording.write(piece());
    recording.end(Ok(()));
    assert_eq!(take(&mut quick).await, Some(Ok(piece())));
    assert_eq!(take(&mut quick).await, None);
    assert_eq!(take(&mut slow).await, Some(Err(BodyError::Lagged)));
}

#[tokio::test]
async fn a_writer_that_waits_is_woken_by_a_read_and_by_leaving() {
    let (recording, mut reader) = Recording::new(None);
    recording.give_up_keeping();
    recording.write(piece());
    recording.write(piece());
    let read = async {
        tokio::task::yield_now().await;
        take(&mut reader).await
    };
    let (room, _) = tokio::join!(recording.wait_for_room(10), read);
    assert_eq!(room, Room::Free);
    recording.write(piece());
    let leave = async {
        tokio::task::yield_now().await;
        drop(reader);
    };
    let (room, ()) = tokio::join!(recording.wait_for_room(10), leave);
    assert_eq!(room, Room::Abandoned);
}

#[tokio::test]
async fn a_writer_that_is_gone_without_an_end_breaks_it_off() {
    let (recording, mut reader) = Recording::new(None);
    recording.write(piece());
    drop(Ending(Arc::clone(&recording)));
    assert_eq!(take(&mut reader).await, Some(Ok(piece())));
    assert_eq!(take(&mut reader).await, Some(Err(BodyError::Origin)));
    let (recording, mut reader) = Recording::new(None);
    recording.end(Ok(()));
    drop(Ending(recording));
    assert_eq!(take(&mut reader).await, None, "an end is final");
}

#[test]
fn nobody_joins_once_the_beginning_is_forgotten() {
    let (recording, first) = Recording::new(None);
    recording.write(piece());
    assert!(recording.reader().is_some());
    recording.give_up_keeping();
    assert!(recording.reader().is_some(), "nobody has read on yet");
    drop(first);
    assert!(recording.reader().is_none());
}
